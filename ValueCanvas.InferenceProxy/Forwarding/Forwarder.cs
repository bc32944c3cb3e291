using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Accounts;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Hedging;
using ValueCanvas.InferenceProxy.Messages;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One inference request, from the client's first byte to the answer's last:
/// <code>
/// client ── (1) body ── (2) peek ── (3) route ──┬── (4) choose ── (5) attempt ──► replica
///                                               └─────── next replica ◄── nothing seen yet ──┘
///        ◄── (7) relay ◄── (6) status, headers ◄──────────────────────── first content
/// </code>
/// Until the first content of an answer the client has seen nothing (but comments, when it takes long) and the next replica takes over,
/// each at most once and within the retry budget. After that a break is told once: by an error event that ends a stream, and for any other
/// answer by a connection that closes before the body's end.
/// </summary>
internal sealed partial class Forwarder(
    Fleet fleet, TargetChooser chooser, AttemptRunner attempts, Resumer resumer, Hedger hedger, RetryBudget budget,
    TimeProvider time, ILogger<Forwarder> logger)
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
        peek.Risk?.MoveToHeader(context.Request, body);
        var words = InternalCaller.Of(context.Request, topology.Options);
        if (words.ReadRisk(out var risk) is { } unreadable)
        {
            await unreadable.WriteAsync(context);
            return;
        }

        budget.Request();
        hedger.Request();
        var route = topology.Routes.Resolve(peek.Model, risk);
        var first = route.Targets[0];
        var caller = words.Caller ?? Caller.Anyone;
        using var prefix = topology.Options.Routing.Policy == RoutingOptions.PrefixAware && first.Replicas.Length > 1
            && operation != InferenceOperation.CountTokens // which leaves nothing in a cache
            ? PromptPrefix.Of(body.Bytes.Span, peek.Fields, caller.Tenant, first.Model)
            : null;
        var translation = new Translation(body, context.Features.Get<MessagesCall>());
        using var call = new ForwardedCall(topology, operation, route, peek, translation, caller, time, started)
        {
            Prefix = prefix,
            Accounts = CallAccounts.Of(context),
        };

        // :: Step 4: a place at a replica whose breaker agrees, of the first target that has one, waited for where all are taken.
        var next = await chooser.FirstAsync(context, call);
        while (next is { } target)
        {
            // :: Step 5: send, and wait for the first content of the answer; if that of a stream takes unusually long, of another
            // replica's.
            using var running = await StartAsync(context, body, call, target);
            var failure = call.Failure = running.Failure;
            next = await chooser.NextAsync(context, running);
            if (failure == AttemptFailure.None || (failure.HasAnswer() && next is null && call.Declined is null))
            {
                await AnswerAsync(context, body, running);
                return;
            }

            if (failure == AttemptFailure.ClientGone)
                return;

            if (failure.IsDecline())
                call.Keep(running);
        }

        await (call.Declined is { } declined ? AnswerAsync(context, body, declined) : RefuseAsync(context, call));
    }

    private async Task<RunningAttempt> StartAsync(HttpContext context, RequestBody body, ForwardedCall call, ForwardedCall.Target target)
    {
        var running = attempts.Start(context, body, call, target);
        if (call.Peek.Stream)
        {
            running = await KeepAlive.WaitAsync(context, call, hedger.FirstContentAsync(context, body, running), time);
        }
        else
        {
            attempts.Learn(running, await running.FirstContent);
        }

        call.Overhead.Resume();
        return running;
    }

    /// <summary>From here on it is this attempt's answer, whole or with its break told.</summary>
    private async Task AnswerAsync(HttpContext context, RequestBody body, RunningAttempt running)
    {
        attempts.Adopted(running);
        var attempt = running.Attempt;
        var answered = running.Failure.IsDecline() ? AttemptFailure.None : running.Failure; // the status says what it is
        if (attempt.Answer is null)
        {
            body.Dispose(); // its buffer is free for others
        }

        (running.Status, running.Failure) = ((int)attempt.Response.StatusCode, AttemptFailure.ClientGone);
        var broken = await RelayAsync(context, running.Call, attempt);
        running.Failure = broken == AttemptFailure.None ? answered : broken;
        if (broken is AttemptFailure.None or AttemptFailure.ClientGone)
            return;

        Log.AnswerBroke(logger, attempt.Replica.Name, broken);
        if (!attempt.IsEventStream)
            throw new BrokenAnswerException(broken);

        if (attempt.CanGoOn(broken)
            && (broken = await resumer.GoOnAsync(context, body, running)) is AttemptFailure.None or AttemptFailure.ClientGone)
        {
            return;
        }

        // The status 200 has gone out: without this the server's span would tell of a success.
        context.Features.Get<IHttpActivityFeature>()?.Activity.SetStatus(ActivityStatusCode.Error, broken.Label());
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
            await KeepAlive.WriteTargetAsync(response, attempt.Replica, call, attempt.Client);
            return late;
        }

        // :: Step 6: status and headers. 529 is Anthropic's own: 503 is what clients know.
        response.StatusCode = (int)attempt.Response.StatusCode is var status and not 529 ? status : StatusCodes.Status503ServiceUnavailable;
        ForwardedHeaders.ToClient(attempt.Response, response);
        if (attempt.IsEventStream)
        {
            response.ContentLength = null; // comments and events come and go
        }

        ForwardedHeaders.Mark(response, attempt.Replica, call.Attempts);
        if (call.IsFallback)
            response.Headers[ForwardedHeaders.Fallback] = "1";

        ForwardedHeaders.Settle(response);
        response.Headers[ForwardedHeaders.Overhead] = call.Overhead.Milliseconds;

        // :: Step 7: the bytes, as they come.
        return await (attempt.IsEventStream
            ? ResponseRelay.CopyEventsAsync(attempt, response)
            : ResponseRelay.CopyAsync(attempt, response));
    }

    private static async Task RefuseAsync(HttpContext context, ForwardedCall call)
    {
        var error = call.Refused ?? Refusals.Of(call);
        if (!context.Response.HasStarted)
        {
            ForwardedHeaders.Mark(context.Response, null, call.Attempts);
            context.Response.StatusCode = error.Status;
            if (call.Attempts > 0)
                ForwardedHeaders.Settle(context.Response);
        }

        await TellAsync(context, error);
    }

    private static Task TellAsync(HttpContext context, ProxyError error) => context.Response.HasStarted
        ? ResponseRelay.WriteErrorAsync(context.Response, error, context.RequestAborted)
        : error.WriteAsync(context);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The answer of {Replica} broke: {Failure}")]
        public static partial void AnswerBroke(ILogger logger, string replica, AttemptFailure failure);
    }
}
