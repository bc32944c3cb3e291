using System.Diagnostics;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Starts attempts and keeps the books of them: for breakers, keys, metrics, spans and the log.</summary>
internal sealed partial class AttemptRunner(
    UpstreamClient upstream, InferenceMetrics metrics, TokenMetrics tokens, ResilienceSignals signals, BodyBudget bodies, TimeProvider time,
    ILogger<AttemptRunner> logger)
{
    /// <summary>Sends the request to the target. Whoever gets the attempt disposes it, after it has awaited its first content.</summary>
    public RunningAttempt Start(
        HttpContext context, RequestBody body, ForwardedCall call, ForwardedCall.Target target, bool hedge = false,
        ResumeRequest? resume = null)
    {
        call.Attempts++;
        var parent = Activity.Current;
        var span = GenAi.StartAttempt(call.Operation, target.Model.Model, call.Peek.Stream, target.Replica);
        Activity.Current = parent; // of the next attempt, too
        if (hedge)
            span?.SetTag(GenAi.Hedge, true);

        var attempt = new Attempt(target.Place, call.Limits, call.Peek.Stream, span, time, context.RequestAborted)
        {
            Gaps = call.Peek.Stream ? tokens.Gaps(call, target) : null,
        };
        metrics.AttemptStarted(target.Replica);
        var request = Build(context, body, call, target, attempt, resume);
        call.Overhead.Stop();
        var running = new RunningAttempt(this, call, target, attempt, attempt.StartAsync(upstream, request)) { IsHedge = hedge };
        call.Accounts?.Started(running);
        return running;
    }

    private ReplicaRequest Build(
        HttpContext context, RequestBody body, ForwardedCall call, ForwardedCall.Target target, Attempt attempt, ResumeRequest? resume)
    {
        if (resume is not null)
        {
            attempt.Judge.HoldsErrors = true;
            return UpstreamRequest.Build(context, resume, call, attempt, target.Credential);
        }

        var added = StreamAdditions.Of(call, target.Replica);
        attempt.Expect(added, Resumable.Is(call, target.Replica) ? new AnswerSoFar(call.Topology.Options.Resume.MaxBytes, bodies) : null);
        return UpstreamRequest.Build(context, body, call, attempt, target.Model, added, target.Credential, time);
    }

    /// <summary>Notes whether the first content has come, and draws the conclusions for later requests when it has not.</summary>
    public void Learn(RunningAttempt running, AttemptFailure failure)
    {
        running.Failure = failure;
        if (failure.IsBlameless())
            return;

        var (attempt, target, replica) = (running.Attempt, running.Target, running.Target.Replica);
        if (failure == AttemptFailure.RateLimited && target.Credential is not null
            && attempt.Ready.Span.IndexOf("\"insufficient_quota\""u8) >= 0)
        {
            running.Failure = failure = AttemptFailure.Credential; // OpenAI's way of saying 402
        }

        if (failure == AttemptFailure.Credential && target.Credential is { IsTenants: true })
            running.Failure = failure = AttemptFailure.TenantCredential;

        Log.AttemptFailed(logger, replica.Name, failure);
        if (failure.IsUnreachable() && replica.Failed(Refusals.Describe(failure)) != ReplicaStatus.Down)
            Log.ReplicaDown(logger, replica.Name, failure);

        // How much a tenant's own account may do says nothing about other accounts.
        if (failure == AttemptFailure.Overloaded || (failure == AttemptFailure.RateLimited && target.Credential is not { IsTenants: true }))
        {
            var wait = RetryAfter.Of(attempt.Response, time) ?? TimeSpan.FromSeconds(1);
            target.Pass.Breaker.Cool(wait, failure == AttemptFailure.RateLimited, running.Call.Topology.Options.Breaker);
        }

        if (failure is AttemptFailure.Credential or AttemptFailure.TenantCredential)
        {
            var status = (int)attempt.Response.StatusCode;
            target.Credential?.Disable(status, running.Call.Topology.Options.CredentialRest);
            Log.CredentialRefused(logger, replica.Provider, target.Credential?.ToString() ?? "none", status);
        }
    }

    /// <summary>The first content of an attempt is about to go out.</summary>
    public void Adopted(RunningAttempt running)
    {
        running.Pass = running.Pass.Breaker.Began(running.Pass);
        running.Call.Accounts?.Adopted(running);
        running.Attempt.Span?.Answered(running.Attempt.Ready.Span);
        if (running.Attempt.IsEventStream && !running.Call.IsResuming)
        {
            var (call, target) = (running.Call, running.Target);
            metrics.FirstBytes(call.Operation, target.Model.Model, target.Replica, call.Started, running.Attempt.Span);
        }
    }

    /// <summary>Books the end of an attempt, now that all of it is known.</summary>
    public void Ended(RunningAttempt running)
    {
        var (call, target, failure) = (running.Call, running.Target, running.Failure);
        Judge(running, failure, running.Status);
        call.Accounts?.Ended(running);
        running.Pass = running.Pass with { Begun = true }; // its place for a probe is given back
        running.Attempt.Span?.Judge(failure, running.Status);
        metrics.AttemptEnded(call.Operation, target.Model.Model, target.Replica, failure, running.Attempt.Elapsed);
        running.Attempt.Span?.Ended(running.Attempt.Judge.FinishReason, running.Attempt.Usage);
        running.Attempt.Span?.Dispose();
        if (running.Attempt.Usage is { } usage)
            tokens.Used(running, usage);
    }

    /// <summary>Books the answer that the client got from an attempt, if it got one.</summary>
    public void Answered(RunningAttempt running)
    {
        if (running.Status != 0)
        {
            var (call, target) = (running.Call, running.Target);
            metrics.Answered(call.Operation, target.Model.Model, target.Replica, running.Status, running.Failure, call.Started);
        }
    }

    private void Judge(RunningAttempt running, AttemptFailure failure, int status)
    {
        var (attempt, target, options) = (running.Attempt, running.Target, running.Call.Topology.Options.Breaker);
        var clientFault = status is >= 400 and < 500 || status is 501 or 505 || attempt.Judge.IsClientFault;
        var ownFault = failure is AttemptFailure.Credential or AttemptFailure.TenantCredential && target.Credential is not null;
        var verdict = failure.CountsForBreaker() && !ownFault ? BreakerVerdict.Failure
            : failure != AttemptFailure.None || clientFault ? BreakerVerdict.Neutral
            : BreakerVerdict.Success;
        signals.Moved(running.Pass.Breaker.Record(running.Pass, verdict, attempt.IsSlow, failure.Label(), options), attempt.Span);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt at {Replica} failed before the first byte: {Failure}")]
        public static partial void AttemptFailed(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "Provider {Provider} refused the key {Fingerprint} with status {Status}")]
        public static partial void CredentialRefused(ILogger logger, string provider, string fingerprint, int status);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: {Failure}")]
        public static partial void ReplicaDown(ILogger logger, string replica, AttemptFailure failure);
    }
}
