using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One inference request, from the client's first byte to the answer's last:
/// <code>
/// client ── (1) body ── (2) peek ── (3) model ──┬── (4) pick ── (5) attempt ──► replica
///                                               └────── next replica ◄── nothing seen yet ──┘
///        ◄── (7) relay ◄── (6) status, headers ◄────────────────────────── first bytes
/// </code>
/// Until the first bytes of an answer the client has seen nothing and the next replica takes over, each at most once. After that a break is
/// told once: by an error event that ends a stream, and for any other answer by a connection that closes before the body's end.
/// </summary>
internal sealed partial class Forwarder(
    Fleet fleet, AdmissionQueue admission, UpstreamClient upstream, InferenceMetrics metrics, TimeProvider time, ILogger<Forwarder> logger)
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
        var call = new Call(operation, model, peek, rewritten, started);
        var caller = Caller.Of(context);
        using var prefix = topology.Options.Routing.Policy == RoutingOptions.PrefixAware && topology.Replicas.Length > 1
            ? PromptPrefix.Of(body.Bytes.Span, peek.Fields, caller.Tenant, model)
            : null;
        var route = new RouteRequest(model, peek.Stream, peek.Fields.PromptBytes, prefix);
        List<Replica>? tried = null;
        var last = AttemptFailure.None;

        while (true)
        {
            // :: Step 4: a place at a replica, waited for where all are taken.
            var (place, refused) = await admission.PlaceAsync(topology.Replicas, topology.Options, route, tried, caller, context.RequestAborted);
            if (place is not { } placement)
            {
                ForwardedHeaders.Mark(context.Response, null, tried?.Count ?? 0);
                await (refused ?? Refusal(topology, peek.Model, model, last)).WriteAsync(context);
                return;
            }

            // :: Steps 5 to 7.
            last = await TryAsync(context, topology.Options, body, call, placement, attempts: (tried?.Count ?? 0) + 1);
            if (last is AttemptFailure.None or AttemptFailure.ClientGone)
            {
                return;
            }

            (tried ??= []).Add(placement.Replica);
        }
    }

    /// <summary>None: an answer went out, whole or with its break told. Any other failure came before the client saw anything.</summary>
    private async Task<AttemptFailure> TryAsync(
        HttpContext context, InferenceOptions options, RequestBody body, Call call, Placement placement, int attempts)
    {
        var replica = placement.Replica;
        var span = GenAi.StartAttempt(call.Operation, call.Model, call.Peek.Stream, replica);
        using var attempt = new Attempt(placement, options, call.Peek.Stream, span, time, context.RequestAborted);
        metrics.AttemptStarted(replica);
        var failure = AttemptFailure.ClientGone; // what an exception out of a write to the client means
        var statusCode = 0;
        try
        {
            // :: Step 5: send, and wait for the first bytes of the answer.
            failure = await attempt.StartAsync(upstream, Request(context, body, call, attempt));
            if (failure != AttemptFailure.None)
            {
                Report(replica, failure);
                return failure;
            }

            statusCode = (int)attempt.Response.StatusCode;
            if (attempt.IsEventStream)
            {
                metrics.FirstBytes(call.Operation, call.Model, replica, call.Started, span);
            }

            // :: Step 6: from here on it is this replica's answer, and the body's buffer is free for others.
            body.Dispose();
            context.Response.StatusCode = statusCode;
            ForwardedHeaders.ToClient(attempt.Response, context.Response);
            ForwardedHeaders.Mark(context.Response, replica, attempts);

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
                metrics.Answered(call.Operation, call.Model, replica, statusCode, failure, call.Started);
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

    private static HttpRequestMessage Request(HttpContext context, RequestBody body, Call call, Attempt attempt)
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

    private static ProxyError Refusal(Topology topology, string asked, string model, AttemptFailure last)
    {
        if (last == AttemptFailure.Timeout)
        {
            return ProxyError.NoAnswer;
        }

        // Before every replica has been heard once, an unknown name may yet turn out to be served.
        var states = topology.Replicas.Select(r => r.State).ToArray();
        var known = states.Any(s => s.Models.ContainsKey(model)) || states.Any(s => s.Models.Count == 0 && s.Status != ReplicaStatus.Up);
        return known
            ? ProxyError.NoReplica(asked)
            : ProxyError.UnknownModel(asked, states.SelectMany(s => s.Models.Keys).Distinct().Order(StringComparer.Ordinal));
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
    private sealed record Call(InferenceOperation Operation, string Model, RequestPeek Peek, byte[]? Rewritten, long Started);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt at {Replica} failed before the first byte: {Failure}")]
        public static partial void AttemptFailed(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "The answer of {Replica} broke: {Failure}")]
        public static partial void AnswerBroke(ILogger logger, string replica, AttemptFailure failure);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: it refuses connections")]
        public static partial void ReplicaDown(ILogger logger, string replica);
    }
}
