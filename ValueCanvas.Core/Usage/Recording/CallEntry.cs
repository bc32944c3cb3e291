using System.Net;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Budgets;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>The books of one call, from its reservation to its row. It ends once, whichever way.</summary>
internal sealed class CallEntry(UsageLedger ledger, InferenceCall call, AskedCall asked, TimeProvider time)
{
    private const double TokensPerByte = 0.25;

    private readonly DateTimeOffset _createdAt = time.GetUtcNow();
    private readonly long _started = time.GetTimestamp();
    private int _ended;
    private int _status;
    private TimeSpan? _firstByte;
    private int _events;

    /// <summary>Why the call must not be made; null where it may.</summary>
    public BudgetRefusal? Refusal { get; set; }

    public Reservation? Reservation { get; set; }

    public bool IsStream { get; private set; }

    private bool IsFree => call.Outcome.Cache is CacheStatus.Hit or CacheStatus.Stale or CacheStatus.Coalesced;

    private bool HasSucceeded => _status is >= 200 and < 300;

    public void Answered(HttpResponseMessage response) =>
        Answered(response.StatusCode, response.Content.Headers.ContentType?.MediaType == "text/event-stream");

    public void Answered(HttpStatusCode status, bool isStream)
    {
        (_status, IsStream) = ((int)status, isStream);
        _firstByte = time.GetElapsedTime(_started);
    }

    /// <summary>Bytes of a stream on their way to the reader: where nobody tells counts, each event is taken for a token.</summary>
    public void Passed(ReadOnlySpan<byte> bytes) => _events += bytes.Count("\n\n"u8);

    /// <summary>All of the answer is here. Returns when its end may go out.</summary>
    public async Task CloseAsync(bool whole)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
            return;
        var row = Settle(HasSucceeded && (whole || call.Outcome.IsComplete) ? CallEnd.Completed : CallEnd.Failed);
        if (row.IsBillable && !IsFree)
            await ledger.CommitAsync(row, Reservation);
        else
            ledger.Add(row, Reservation);
    }

    /// <summary>The reader wants no more.</summary>
    public void Leave() => Break(HasSucceeded ? CallEnd.Cancelled : CallEnd.Failed);

    public void Break(CallEnd end)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
            ledger.Add(Settle(end), Reservation);
    }

    /// <summary>It is counted elsewhere: it gets no row.</summary>
    public void Drop()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
            ledger.Forget(call.Id);
    }

    public UsageRow Row(CallEnd end)
    {
        var (outcome, usage) = (call.Outcome, call.Outcome.Usage);
        return new UsageRow
        {
            Id = call.Id,
            TenantId = call.TenantId,
            CreatedAt = _createdAt,
            UserId = call.UserId,
            ApiKeyId = call.ApiKeyId,
            JobId = call.JobId,
            JobQuestion = call.JobId is null ? null : call.JobQuestion,
            Route = call.Route,
            PromptKey = call.Prompt?.Key,
            PromptVersion = call.Prompt?.Version,
            RequestedModel = asked.Model,
            Model = AskedCall.Plain(outcome.Model),
            Provider = AskedCall.Plain(outcome.Provider),
            Streamed = IsStream,
            Status = end.ToName(),
            HttpStatus = _status == 0 ? null : _status,
            Cache = outcome.Cache.ToString().ToLowerInvariant(),
            InputTokens = usage?.InputTokens ?? 0,
            CachedTokens = usage?.CachedInputTokens ?? 0,
            OutputTokens = usage?.OutputTokens ?? 0,
            ReasoningTokens = usage?.ReasoningTokens ?? 0,
            UsageSource = outcome.UsageSource.ToString().ToLowerInvariant(),
            LatencyMs = Math.Round(time.GetElapsedTime(_started).TotalMilliseconds, 3),
            FirstByteMs = _firstByte is { } first ? Math.Round(first.TotalMilliseconds, 3) : null,
        };
    }

    /// <summary>The row, with what is owed.</summary>
    private UsageRow Settle(CallEnd end)
    {
        var outcome = call.Outcome;
        if (outcome.Usage is null && !IsFree && HasSucceeded && (end == CallEnd.Completed || _events > 0))
        {
            outcome.Usage = new TokenUsage((int)(asked.Bytes * TokensPerByte), _events, 0);
            outcome.UsageSource = UsageSource.Estimated;
        }

        if (IsFree)
        {
            outcome.Cost = 0;
            return Row(end) with { Cost = 0 };
        }

        outcome.Attempts = [.. outcome.Attempts.Select(attempt => Ended(attempt, end))];
        (outcome.Cost, var replicaCost) = ledger.Price(outcome, asked.Model, _createdAt);
        // A job asks again, and its tenant gets one answer: what broke is not charged.
        if (call.JobId is not null && end == CallEnd.Failed)
            outcome.Cost = 0;
        return Row(end) with
        {
            Cost = outcome.Cost,
            ReplicaSeconds = Math.Round(outcome.Attempts.Sum(attempt => attempt.ReplicaTime.TotalSeconds), 6),
            ReplicaCost = replicaCost,
            Attempts = AttemptsBeside(outcome),
        };
    }

    /// <summary>Of one that was under way when the proxy last told of it: it has had its part of the replica until now.</summary>
    private InferenceAttempt Ended(InferenceAttempt attempt, CallEnd end)
    {
        if (attempt.End != "running")
            return attempt;
        var took = time.GetElapsedTime(_started);
        return attempt with
        {
            End = end switch { CallEnd.Completed => "none", CallEnd.Cancelled => "client_gone", _ => "cut" },
            ReplicaTime = attempt.Took > TimeSpan.Zero && took > attempt.Took
                ? attempt.ReplicaTime * (took / attempt.Took)
                : attempt.ReplicaTime,
            Took = took,
        };
    }

    private static AttemptRow[]? AttemptsBeside(InferenceOutcome outcome)
    {
        if (outcome.Attempts is [] or [{ IsAnswer: true, End: "none" or "client_gone" }])
            return null;
        return
        [
            .. outcome.Attempts.Select((attempt, i) => new AttemptRow(
                i + 1, attempt.Target, attempt.Provider, attempt.Model, attempt.End, attempt.IsHedge, attempt.IsAnswer,
                attempt.Took.TotalMilliseconds, attempt.ReplicaTime.TotalMilliseconds, attempt.Usage?.InputTokens,
                    attempt.Usage?.OutputTokens)),
        ];
    }
}
