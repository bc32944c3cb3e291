using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One inference request, from the client's first byte to the answer's last:
/// <code>
/// client ── (1) body ── (2) peek ── (3) route ──┬── (4) choose ── (5) attempt ──► replica
///                                               └─────── next replica ◄── nothing seen yet ──┘
///        ◄── (7) relay ◄── (6) status, headers ◄──────────────────────── first content
/// </code>
/// Until the first content of an answer the client has seen nothing (but comments, when it takes long) and the next replica takes over, each
/// at most once and within the retry budget. After that a break is told once: by an error event that ends a stream, and for any other answer
/// by a connection that closes before the body's end.
/// </summary>
internal sealed partial class Forwarder(
    Fleet fleet,
    AdmissionQueue admission,
    UpstreamClient upstream,
    RetryBudget budget,
    InferenceMetrics metrics,
    ResilienceSignals signals,
    TimeProvider time,
    ILogger<Forwarder> logger)
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
        var words = InternalCaller.Of(context.Request, topology.Options);
        if (words.ReadRisk(out var risk) is { } unreadable)
        {
            await unreadable.WriteAsync(context);
            return;
        }

        budget.Request();
        var route = topology.Routes.Resolve(peek.Model, risk);
        var first = route.Targets[0];
        var caller = words.Caller ?? Caller.Anyone;
        using var prefix = topology.Options.Routing.Policy == RoutingOptions.PrefixAware && first.Replicas.Length > 1
            ? PromptPrefix.Of(body.Bytes.Span, peek.Fields, caller.Tenant, first.Model)
            : null;
        var call = new ForwardedCall(topology, operation, route, peek, time, started) { Caller = caller, Prefix = prefix };

        // :: Step 4: a place at a replica whose breaker agrees, of the first target that has one, waited for where all are taken.
        call.Next = await ChooseAsync(context, call, span: null);
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

    /// <summary>The next replica to ask. A further one costs from the retry budget, unless it is only another key that is tried.</summary>
    private async Task<ForwardedCall.Target?> ChooseAsync(HttpContext context, ForwardedCall call, Activity? span, bool free = false)
    {
        var options = call.Topology.Options;
        if (call.Attempts >= options.Retries.MaxAttempts && !free)
        {
            return null;
        }

        var paid = call.Attempts == 0 || free;
        do
        {
            while (true)
            {
                var route = new RouteRequest(call.Model, call.Peek.Stream, call.Peek.Fields.PromptBytes, call.Prefix);
                var (place, refused) =
                    await admission.PlaceAsync(call.Turn, options, route, call.Tried, call.Caller, context.RequestAborted);
                if (place is not { Replica: var replica })
                {
                    call.Refused = refused ?? call.Refused; // of a target that is merely full; the next one may have a place
                    break;
                }

                call.Refused = null;
                if (!paid && !(paid = budget.TrySpend(options.Retries)))
                {
                    place.Dispose();
                    signals.BudgetSpent();
                    return null;
                }

                if (replica.Upstream.Kind.Supports(call.Operation)
                    && replica.Breakers.Of(call.Model).TryEnter(options.Breaker, out var pass, out var transition))
                {
                    signals.Moved(transition, span);
                    return new ForwardedCall.Target(place, pass, call.Turn, replica.Upstream.Credentials.Take());
                }

                place.Dispose();
                (call.Tried ??= []).Add(replica); // its last place for a probe went to another request, or it is new and of the wrong kind
            }
        }
        while (call.NextTarget());

        return null;
    }

    /// <summary>None: an answer went out, whole or with its break told. Any other failure came before the client saw anything of an answer.</summary>
    private async Task<AttemptFailure> TryAsync(HttpContext context, RequestBody body, ForwardedCall call, ForwardedCall.Target target)
    {
        var (replica, options) = (target.Replica, call.Topology.Options);
        var model = target.Model.Model;
        var span = GenAi.StartAttempt(call.Operation, model, call.Peek.Stream, replica);
        using var attempt = new Attempt(target.Place, call.Limits, call.Peek.Stream, span, time, context.RequestAborted);
        metrics.AttemptStarted(replica);
        var failure = AttemptFailure.ClientGone; // what an exception out of a write to the client means
        var statusCode = 0;
        try
        {
            // :: Step 5: send, and wait for the first content of the answer.
            if (UpstreamRequest.Build(context, body, call.Operation, call.Peek, attempt, target.Model, target.Credential, time, out var request)
                is { } unfit)
            {
                (statusCode, failure) = (unfit.Status, AttemptFailure.None);
                await TellAsync(context, unfit);
                return AttemptFailure.None;
            }

            call.Overhead.Stop();
            var start = attempt.StartAsync(upstream, request);
            failure = await (call.Peek.Stream ? KeepAlive.WaitAsync(context, call, attempt, start, time) : start);
            call.Overhead.Resume();
            if (failure == AttemptFailure.RateLimited && target.Credential is not null && attempt.Ready.Span.IndexOf("\"insufficient_quota\""u8) >= 0)
            {
                failure = AttemptFailure.Credential; // OpenAI's way of saying 402
            }

            if (failure != AttemptFailure.None)
            {
                Report(call, attempt, target, failure);
                if (failure.MovesOn())
                {
                    var other = failure == AttemptFailure.Credential && target.Credential is not null && !replica.Upstream.Credentials.IsExhausted;
                    if (!other)
                    {
                        (call.Tried ??= []).Add(replica);
                        call.PassOver();
                    }

                    target.Place.Dispose(); // who waits for the next one holds none
                    call.Next = await ChooseAsync(context, call, span, free: other);
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
                metrics.FirstBytes(call.Operation, model, replica, call.Started, span);
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
                metrics.Answered(call.Operation, model, replica, statusCode, failure, call.Started);
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

        // 529 is Anthropic's own: 503 is what clients know.
        response.StatusCode = (int)attempt.Response.StatusCode is var status and not 529 ? status : StatusCodes.Status503ServiceUnavailable;
        ForwardedHeaders.ToClient(attempt.Response, response);
        ForwardedHeaders.Mark(response, attempt.Replica, call.Attempts);
        ForwardedHeaders.Settle(response);
        response.Headers[ForwardedHeaders.Overhead] = call.Overhead.Milliseconds;

        // :: Step 7: the bytes, as they come.
        return await (attempt.IsEventStream ? ResponseRelay.CopyEventsAsync(attempt, response) : ResponseRelay.CopyAsync(attempt, response));
    }

    private static async Task RefuseAsync(HttpContext context, ForwardedCall call)
    {
        var error = call.Refused ?? Refusals.Of(call);
        if (!context.Response.HasStarted)
        {
            ForwardedHeaders.Mark(context.Response, null, call.Attempts);
            context.Response.StatusCode = error.Status;
            if (call.Attempts > 0)
            {
                ForwardedHeaders.Settle(context.Response);
            }
        }

        await TellAsync(context, error);
    }

    private static Task TellAsync(HttpContext context, ProxyError error) => context.Response.HasStarted
        ? ResponseRelay.WriteErrorAsync(context.Response, error, context.RequestAborted)
        : error.WriteAsync(context);

    /// <summary>Tells the breaker what the attempt was worth, now that all of it is known.</summary>
    private void Judge(ForwardedCall call, ForwardedCall.Target target, Attempt attempt, AttemptFailure failure, int statusCode)
    {
        var options = call.Topology.Options.Breaker;
        var clientFault = statusCode is >= 400 and < 500 || statusCode is 501 or 505 || attempt.Judge.IsClientFault;
        var ownFault = failure == AttemptFailure.Credential && target.Credential is not null;
        var verdict = failure.CountsForBreaker() && !ownFault ? BreakerVerdict.Failure
            : failure != AttemptFailure.None || clientFault ? BreakerVerdict.Neutral
            : BreakerVerdict.Success;
        var slow = attempt.IsEventStream && attempt.FirstContent > options.SlowFirstToken;
        signals.Moved(target.Pass.Breaker.Record(target.Pass, verdict, slow, failure.Label(), options), attempt.Span);
    }

    private void Report(ForwardedCall call, Attempt attempt, ForwardedCall.Target target, AttemptFailure failure)
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
            replica.Breakers.Of(target.Model.Model).Cool(wait, failure == AttemptFailure.RateLimited, call.Topology.Options.Breaker);
        }

        if (failure == AttemptFailure.Credential)
        {
            var status = (int)attempt.Response.StatusCode;
            target.Credential?.Disable(status, call.Topology.Options.CredentialRest);
            Log.CredentialRefused(logger, replica.Provider, target.Credential?.Fingerprint ?? "none", status);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt at {Replica} failed before the first byte: {Failure}")]
        public static partial void AttemptFailed(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "The answer of {Replica} broke: {Failure}")]
        public static partial void AnswerBroke(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "Provider {Provider} refused the key {Fingerprint} with status {Status}")]
        public static partial void CredentialRefused(ILogger logger, string provider, string fingerprint, int status);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: {Failure}")]
        public static partial void ReplicaDown(ILogger logger, string replica, AttemptFailure failure);
    }
}
