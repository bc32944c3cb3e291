using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Which failures are worth another attempt, and when.</summary>
internal static class RetryPolicy
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary>What an exception of a handler means for its job. The submitter sees the messages.</summary>
    public static JobOutcome Classify(Exception exception) => exception switch
    {
        // Nobody tried: the limit is reached, or the proxy is away, or has nobody to ask, whether it says when that may change (an open
        // breaker) or not. An outage uses up no attempts, however long it is: the job's deadline bounds it.
        InferenceException { Kind: InferenceFailure.RateLimited } failure => new JobOutcome.Snoozed(ErrorOf(failure), failure.RetryAfter),
        InferenceException { IsOutage: true } failure => new JobOutcome.Snoozed(ErrorOf(failure), failure.RetryAfter),
        InferenceException { Kind: InferenceFailure.Unavailable, RetryAfter: not null } failure =>
            new JobOutcome.Snoozed(ErrorOf(failure), failure.RetryAfter),
        InferenceException { IsTransient: true } failure => new JobOutcome.Faulted(ErrorOf(failure), failure.RetryAfter),
        InferenceException failure => new JobOutcome.Rejected(ErrorOf(failure)),
        // Ours, and not the job's: as long as PostgreSQL is away no attempt is used up.
        _ when DatabaseErrors.IsUnavailable(exception) =>
            new JobOutcome.Snoozed(new JobError("internal", "The database could not be reached."), Shortest),
        _ => new JobOutcome.Faulted(new JobError("internal", "The worker failed unexpectedly.")),
    };

    /// <summary>
    /// 2 s, 4 s, 8 s, … up to 5 min after the first, second, third attempt, of which a random part between half and all is waited, so
    /// that jobs that failed together do not come back together. What the refusing side asked for wins.
    /// </summary>
    public static TimeSpan DelayAfter(int attempt, TimeSpan? retryAfter, Random random)
    {
        if (retryAfter is { } asked)
            return asked < Longest ? asked : Longest;
        var factor = Math.Pow(2, Math.Min(attempt, 30) - 1);
        var seconds = Math.Min(First.TotalSeconds * factor, Longest.TotalSeconds);
        return TimeSpan.FromSeconds(seconds * (0.5 + (random.NextDouble() / 2)));
    }

    /// <summary>The same for a job that was put off for the n-th time; never less than a second, so that it does not spin.</summary>
    public static TimeSpan DelayOfSnooze(int snoozes, TimeSpan? retryAfter, Random random)
    {
        if (retryAfter is null)
            return DelayAfter(snoozes + 1, null, random);
        var asked = DelayAfter(1, retryAfter, random);
        return (asked > Shortest ? asked : Shortest) * (1 + (random.NextDouble() / 4));
    }

    private static JobError ErrorOf(InferenceException failure) => new(
        failure.Kind switch
        {
            InferenceFailure.Unavailable => "inference_unavailable",
            InferenceFailure.RateLimited => "rate_limited",
            InferenceFailure.Timeout => "timeout",
            InferenceFailure.BadRequest => "bad_request",
            InferenceFailure.BudgetExceeded => "budget_exceeded",
            InferenceFailure.ModelNotFound => "model_not_found",
            InferenceFailure.KeysUnreadable => "provider_keys_unreadable",
            _ => "invalid_answer",
        },
        failure.Message);
}
