using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One inference request, from the client's first byte to the answer's last:
/// <code>
/// client ── (1) body ── (2) peek ── (3) route ──┬── (4) pick ── (5) attempt ──► replica
///                                               └────── next replica ◄── nothing seen yet ──┘
///        ◄── (7) relay ◄── (6) status, headers ◄────────────────────────── first bytes
/// </code>
/// Until the first bytes of an answer the client has seen nothing and the next replica takes over, each at most once. After that a break is
/// told once: by an error event that ends a stream, and for any other answer by a connection that closes before the body's end.
/// </summary>
internal sealed partial class Forwarder(
    Fleet fleet, ReplicaPicker picker, UpstreamClient upstream, InferenceMetrics metrics, TimeProvider time, ILogger<Forwarder> logger)
{
    public async Task ForwardAsync(HttpContext context, InferenceOperation operation)
    {
        var started = time.GetTimestamp();
        var topology = fleet.Current;
        using var body = new RequestBody();

        // :: Step 1: the body, once, into a pooled buffer.
        if (await body.ReadAsync(context, topology.Options.MaxBodyBytes) is { } unread)
        {
            await unread.WriteAsync(context);
            return;
        }

        // :: Step 2: the two fields that matter here.
        if (RequestPeek.Read(body.Bytes.Span, out var peek) is { } malformed)
        {
            await malformed.WriteAsync(context);
            return;
        }

        // :: Step 3: the targets that the name means, for this risk.
        if (InternalCaller.Of(context.Request, topology.Options).ReadRisk(out var risk) is { } unreadable)
        {
            await unreadable.WriteAsync(context);
            return;
        }

        var route = topology.Routes.Resolve(peek.Model, risk);
        var targets = new TargetCursor(route, operation, picker);
        var call = new Call(operation, peek, targets, new Overhead(time), started);
        var last = AttemptFailure.None;

        // :: Step 4: the replica with the fewest requests under way, of the first target that has one.
        while (targets.MoveNext())
        {
            // :: Steps 5 to 7.
            last = await TryAsync(context, topology.Options, body, call, targets.Current!, targets.Target);
            if (last is AttemptFailure.None or AttemptFailure.ClientGone)
            {
                return;
            }
        }

        ForwardedHeaders.Mark(context.Response, null, targets.Attempts);
        var refusal = Refusal(topology, route, peek.Model, operation, targets, last);
        context.Response.StatusCode = refusal.Status;
        if (targets.Attempts > 0)
        {
            ForwardedHeaders.Settle(context.Response);
        }

        await refusal.WriteAsync(context);
    }

    /// <summary>None: an answer went out, whole or with its break told. Any other failure came before the client saw anything.</summary>
    private async Task<AttemptFailure> TryAsync(
        HttpContext context, InferenceOptions options, RequestBody body, Call call, Replica replica, Target target)
    {
        var credential = replica.Upstream.Credentials.Take();
        var span = GenAi.StartAttempt(call.Operation, target.Model, call.Peek.Stream, replica);
        using var attempt = new Attempt(replica, options, call.Peek.Stream, span, time, context.RequestAborted);
        metrics.AttemptStarted(replica);
        var failure = AttemptFailure.ClientGone; // what an exception out of a write to the client means
        var statusCode = 0;
        try
        {
            // :: Step 5: send, and wait for the first bytes of the answer.
            if (UpstreamRequest.Build(context, body, call.Operation, call.Peek, attempt, target, credential, time, out var request) is { } unfit)
            {
                statusCode = unfit.Status;
                failure = AttemptFailure.None;
                await unfit.WriteAsync(context);
                return AttemptFailure.None;
            }

            call.Overhead.Stop();
            failure = await attempt.StartAsync(upstream, request);
            call.Overhead.Resume();
            if (failure == AttemptFailure.None)
            {
                failure = Judge(attempt, options, call.Targets, target, credential);
            }

            if (failure != AttemptFailure.None)
            {
                Report(replica, failure);
                return failure;
            }

            statusCode = (int)attempt.Response.StatusCode;
            if (attempt.IsEventStream)
            {
                metrics.FirstBytes(call.Operation, target.Model, replica, call.Started, span);
            }

            // :: Step 6: from here on it is this replica's answer, and the body's buffer is free for others.
            body.Dispose();
            context.Response.StatusCode = statusCode;
            ForwardedHeaders.ToClient(attempt.Response, context.Response);
            ForwardedHeaders.Mark(context.Response, replica, call.Targets.Attempts);
            ForwardedHeaders.Settle(context.Response);
            context.Response.Headers[ForwardedHeaders.Overhead] = call.Overhead.Milliseconds;

            // :: Step 7: the bytes, as they come.
            failure = AttemptFailure.ClientGone;
            failure = await (attempt.IsEventStream
                ? ResponseRelay.CopyEventsAsync(attempt, context.Response)
                : ResponseRelay.CopyAsync(attempt, context.Response));
        }
        finally
        {
            span?.Judge(failure, statusCode);
            metrics.AttemptEnded(replica, failure);
            if (statusCode != 0)
            {
                metrics.Answered(call.Operation, target.Model, replica, statusCode, failure, call.Started);
            }
        }

        if (failure is not (AttemptFailure.None or AttemptFailure.ClientGone))
        {
            Log.AnswerBroke(logger, replica.Name, failure);
            if (!attempt.IsEventStream)
            {
                throw new BrokenAnswerException(failure);
            }

            // The status 200 has gone out: without this the server's span would tell of a success.
            context.Features.Get<IHttpActivityFeature>()?.Activity.SetStatus(ActivityStatusCode.Error, failure.Label());
        }

        return AttemptFailure.None;
    }

    /// <summary>What the status says about the proxy's own standing. A key that is refused is replaced; a pause that is asked for is the answer only
    /// where nothing else is left to try.</summary>
    private AttemptFailure Judge(Attempt attempt, InferenceOptions options, TargetCursor targets, Target target, Credential? credential)
    {
        var replica = attempt.Replica;
        var beginning = attempt.Buffer.Span[..attempt.FirstBytes];
        var verdict = UpstreamVerdict.Judge(attempt.Response, beginning, credential, options.CredentialRest, time.GetUtcNow(), out var pause);
        if (verdict == AttemptFailure.Credential)
        {
            Log.CredentialRefused(logger, replica.Provider, credential?.Fingerprint ?? "none", (int)attempt.Response.StatusCode);
            if (credential is not null && !replica.Upstream.Credentials.IsExhausted)
            {
                targets.Repeat();
            }
        }
        else if (verdict == AttemptFailure.RateLimited)
        {
            replica.Cool(target.Model, pause);
            targets.Cooled(pause);
            return targets.HasNext ? verdict : AttemptFailure.None;
        }

        return verdict;
    }

    private static ProxyError Refusal(
        Topology topology, ModelRoute route, string asked, InferenceOperation operation, TargetCursor targets, AttemptFailure last)
    {
        if (last == AttemptFailure.Timeout)
        {
            return ProxyError.NoAnswer;
        }

        if (targets.Cooling is { } pause)
        {
            return ProxyError.Cooling(asked, pause);
        }

        if (last == AttemptFailure.Credential || (last == AttemptFailure.None && targets.CredentialsExhausted))
        {
            return ProxyError.CredentialsExhausted(asked);
        }

        if (last == AttemptFailure.None && targets.Unsupported)
        {
            return ProxyError.Unsupported(asked, operation.Path);
        }

        // Before every replica has been heard once, an unknown name may yet turn out to be served.
        var states = topology.Replicas.Select(r => r.State).ToArray();
        var known = Array.Exists(route.Targets, target => target.Served() is not null)
            || states.Any(s => s.Models.Count == 0 && s.Status != ReplicaStatus.Up);
        return known
            ? ProxyError.NoReplica(asked)
            : ProxyError.UnknownModel(asked, states.SelectMany(s => s.Models.Keys).Concat(topology.Routes.Names).Distinct().Order(StringComparer.Ordinal));
    }

    private void Report(Replica replica, AttemptFailure failure)
    {
        if (failure == AttemptFailure.ClientGone)
        {
            return;
        }

        Log.AttemptFailed(logger, replica.Name, failure);
        if (failure == AttemptFailure.Connect && replica.Failed("refuses connections") != ReplicaStatus.Down)
        {
            Log.ReplicaDown(logger, replica.Name);
        }
    }

    /// <summary>What does not change from attempt to attempt.</summary>
    private sealed record Call(InferenceOperation Operation, RequestPeek Peek, TargetCursor Targets, Overhead Overhead, long Started);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt at {Replica} failed before the first byte: {Failure}")]
        public static partial void AttemptFailed(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "The answer of {Replica} broke: {Failure}")]
        public static partial void AnswerBroke(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "Provider {Provider} refused the key {Fingerprint} with status {Status}")]
        public static partial void CredentialRefused(ILogger logger, string provider, string fingerprint, int status);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: it refuses connections")]
        public static partial void ReplicaDown(ILogger logger, string replica);
    }
}
