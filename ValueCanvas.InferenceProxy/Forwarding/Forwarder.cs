using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One inference request, from the client's first byte to the answer's last:
/// <code>
/// client ── (1) body ── (2) peek ── (3) model ──┬── (4) choose ── (5) attempt ──► replica
///                                               └─────── next replica ◄── nothing seen yet ──┘
///        ◄── (7) relay ◄── (6) status, headers ◄──────────────────────── first content
/// </code>
/// Until the first content of an answer the client has seen nothing (but comments, when it takes long) and the next replica takes over, each
/// at most once and within the retry budget. After that a break is told once: by an error event that ends a stream, and for any other answer
/// by a connection that closes before the body's end.
/// </summary>
internal sealed partial class Forwarder(
    Fleet fleet,
    ReplicaPicker picker,
    UpstreamClient upstream,
    RetryBudget budget,
    InferenceMetrics metrics,
    ResilienceSignals signals,
    TimeProvider time,
    ILogger<Forwarder> logger)
{
    private const int LargeBody = 1024 * 1024;

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

        // :: Step 3: the model that the name means.
        var (model, rewritten) = topology.Aliases.Resolve(peek.Model);
        var call = new ForwardedCall(topology, operation, model, peek, rewritten, started);
        budget.Request();

        // :: Step 4: the replica with the fewest requests under way, if its breaker agrees.
        call.Next = Choose(call, span: null);
        while (call.Next is { } target)
        {
            // :: Steps 5 to 7.
            call.Next = null;
            call.Attempts++;
            call.Failure = await TryAsync(context, body, call, target);
            if (call.Failure is AttemptFailure.None or AttemptFailure.ClientGone)
            {
                return;
            }
        }

        await RefuseAsync(context, call);
    }

    /// <summary>The next replica to ask. A further one costs from the retry budget.</summary>
    private ForwardedCall.Target? Choose(ForwardedCall call, Activity? span)
    {
        var options = call.Topology.Options;
        if (call.Attempts >= options.Retries.MaxAttempts)
        {
            return null;
        }

        var paid = call.Attempts == 0;
        while (picker.Pick(call.Topology.Replicas, call.Model, call.Tried, options.Breaker) is { } replica)
        {
            if (!paid && !(paid = budget.TrySpend(options.Retries)))
            {
                signals.BudgetSpent();
                return null;
            }

            if (replica.Breakers.Of(call.Model).TryEnter(options.Breaker, out var pass, out var transition))
            {
                signals.Moved(transition, span);
                return new ForwardedCall.Target(replica, pass);
            }

            (call.Tried ??= []).Add(replica); // its last place for a probe went to another request
        }

        return null;
    }

    /// <summary>None: an answer went out, whole or with its break told. Any other failure came before the client saw anything of an answer.</summary>
    private async Task<AttemptFailure> TryAsync(HttpContext context, RequestBody body, ForwardedCall call, ForwardedCall.Target target)
    {
        var (replica, options) = (target.Replica, call.Topology.Options);
        var span = GenAi.StartAttempt(call.Operation, call.Model, call.Peek.Stream, replica);
        using var attempt = new Attempt(replica, call.Limits, call.Peek.Stream, span, time, context.RequestAborted);
        metrics.AttemptStarted(replica);
        var failure = AttemptFailure.ClientGone; // what an exception out of a write to the client means
        var statusCode = 0;
        try
        {
            // :: Step 5: send, and wait for the first content of the answer.
            var start = attempt.StartAsync(upstream, Request(context, body, call, attempt));
            failure = await (call.Peek.Stream ? KeepAlive.WaitAsync(context, call, attempt, start, time) : start);
            if (failure != AttemptFailure.None)
            {
                Report(call, attempt, failure);
                if (failure.MovesOn())
                {
                    (call.Tried ??= []).Add(replica);
                    call.Next = Choose(call, span);
                    if (call.Next is not null)
                    {
                        signals.Retried(failure);
                    }
                }

                if (!failure.HasAnswer() || call.Next is not null)
                {
                    return failure;
                }
            }

            statusCode = (int)attempt.Response.StatusCode;
            if (attempt.IsEventStream)
            {
                metrics.FirstBytes(call.Operation, call.Model, replica, call.Started, span);
            }

            // :: Step 6: from here on it is this replica's answer, and the body's buffer is free for others.
            body.Dispose();
            var answered = failure;
            failure = AttemptFailure.ClientGone;
            var broken = await RelayAsync(context, call, attempt);
            failure = broken == AttemptFailure.None ? answered : broken;
        }
        finally
        {
            Judge(call, target, attempt, failure, statusCode);
            span?.Judge(failure, statusCode);
            metrics.AttemptEnded(replica, failure);
            if (statusCode != 0)
            {
                metrics.Answered(call.Operation, call.Model, replica, statusCode, failure, call.Started);
            }
        }

        if (failure is not (AttemptFailure.None or AttemptFailure.ClientGone) && !failure.HasAnswer())
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

    private static async Task<AttemptFailure> RelayAsync(HttpContext context, ForwardedCall call, Attempt attempt)
    {
        var response = context.Response;
        if (response.HasStarted)
        {
            if (!attempt.IsEventStream)
            {
                await KeepAlive.WriteRefusalAsync(context, attempt);
                return AttemptFailure.None;
            }

            var late = await ResponseRelay.CopyEventsAsync(attempt, response);
            await KeepAlive.WriteTargetAsync(response, attempt.Replica, call.Attempts, attempt.Client);
            return late;
        }

        response.StatusCode = (int)attempt.Response.StatusCode;
        ForwardedHeaders.ToClient(attempt.Response, response);
        ForwardedHeaders.Mark(response, attempt.Replica, call.Attempts);

        // :: Step 7: the bytes, as they come.
        return await (attempt.IsEventStream ? ResponseRelay.CopyEventsAsync(attempt, response) : ResponseRelay.CopyAsync(attempt, response));
    }

    private static HttpRequestMessage Request(HttpContext context, RequestBody body, ForwardedCall call, Attempt attempt)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, attempt.Replica.Address.OriginalString + call.Operation.Path)
        {
            Content = new ForwardedBody(body.Bytes, call.Peek.ModelStart, call.Peek.ModelEnd, call.Rewritten),
        };
        ForwardedHeaders.ToReplica(context.Request, request, attempt.Span);
        // A server that refuses a large body closes while it is sent, and its refusal would be lost: let it answer first.
        request.Headers.ExpectContinue = body.Bytes.Length > LargeBody;
        return request;
    }

    private static async Task RefuseAsync(HttpContext context, ForwardedCall call)
    {
        var error = Refusals.Of(call);
        if (context.Response.HasStarted)
        {
            await ResponseRelay.WriteErrorAsync(context.Response, error, context.RequestAborted);
            return;
        }

        ForwardedHeaders.Mark(context.Response, null, call.Attempts);
        await error.WriteAsync(context);
    }

    /// <summary>Tells the breaker what the attempt was worth, now that all of it is known.</summary>
    private void Judge(ForwardedCall call, ForwardedCall.Target target, Attempt attempt, AttemptFailure failure, int statusCode)
    {
        var options = call.Topology.Options.Breaker;
        var clientFault = statusCode is >= 400 and < 500 || statusCode is 501 or 505 || attempt.Judge.IsClientFault;
        var verdict = failure.CountsForBreaker() ? BreakerVerdict.Failure
            : failure != AttemptFailure.None || clientFault ? BreakerVerdict.Neutral
            : BreakerVerdict.Success;
        var slow = attempt.IsEventStream && attempt.FirstContent > options.SlowFirstToken;
        signals.Moved(target.Pass.Breaker.Record(target.Pass, verdict, slow, failure.Label(), options), attempt.Span);
    }

    private void Report(ForwardedCall call, Attempt attempt, AttemptFailure failure)
    {
        if (failure == AttemptFailure.ClientGone)
        {
            return;
        }

        var replica = attempt.Replica;
        Log.AttemptFailed(logger, replica.Name, failure);
        if (failure.IsUnreachable() && replica.Failed(Refusals.Describe(failure)) != ReplicaStatus.Down)
        {
            Log.ReplicaDown(logger, replica.Name, failure);
        }

        if (failure is AttemptFailure.RateLimited or AttemptFailure.Overloaded)
        {
            var wait = RetryAfter.Of(attempt.Response, time) ?? TimeSpan.FromSeconds(1);
            replica.Breakers.Of(call.Model).Cool(wait, failure == AttemptFailure.RateLimited, call.Topology.Options.Breaker);
        }

    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt at {Replica} failed before the first byte: {Failure}")]
        public static partial void AttemptFailed(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "The answer of {Replica} broke: {Failure}")]
        public static partial void AnswerBroke(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: {Failure}")]
        public static partial void ReplicaDown(ILogger logger, string replica, AttemptFailure failure);
    }
}
