using System.Diagnostics;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>
/// Anthropic's Messages API in front of the house. The request is made a chat's, goes the way of any other through the
/// <see cref="Forwarder"/>, and what that answers is made a message's, piece by piece: routing, places, breakers, retries and limits know
/// no difference. A target that is Anthropic's gets what the client sent (<see cref="MessagesCall"/>).
/// </summary>
internal sealed partial class MessagesFront(Forwarder forwarder, Fleet fleet, ILogger<MessagesFront> logger)
{
    public async Task AnswerAsync(HttpContext context, InferenceOperation operation)
    {
        await using var answer = new MessagesResponse(context.Response, RequestId());
        try
        {
            if (await ForwardAsync(context, operation) is { } refused)
                await refused.WriteAsync(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            answer.Reset();
            await Explain(e).WriteAsync(context);
        }

        if (!context.RequestAborted.IsCancellationRequested)
            await answer.CompleteAsync(operation == InferenceOperation.CountTokens, context.RequestAborted);
    }

    public static async Task RefuseAsync(HttpContext context, ProxyError error)
    {
        await using var answer = new MessagesResponse(context.Response, RequestId());
        await error.WriteAsync(context);
        await answer.CompleteAsync(counted: false, context.RequestAborted);
    }

    private async Task<ProxyError?> ForwardAsync(HttpContext context, InferenceOperation operation)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = HttpMethods.Post;
            return ProxyError.MethodNotAllowed;
        }

        using var body = new RequestBody();
        if (await body.ReadAsync(context, fleet.Current.Options.MaxBodyBytes) is { } unread)
            return unread;

        if (RequestPeek.Read(body.Bytes.Span, out var peek) is { } malformed)
            return malformed;

        peek.Risk?.MoveToHeader(context.Request, body);
        if (MessagesRequest.TryTranslate(body.Bytes, operation == InferenceOperation.CountTokens, out var chat, out var unfit) is { } wrong)
            return wrong;

        context.Features.Set(new MessagesCall(body.Bytes, peek, unfit));
        context.Request.Body = new MemoryStream(chat, writable: false);
        context.Request.ContentLength = chat.Length;
        await forwarder.ForwardAsync(context, operation);
        return null;
    }

    // The trace's id: with it the request is found again.
    private static string RequestId() => $"req_{Activity.Current?.TraceId.ToString() ?? Guid.NewGuid().ToString("N")}";

    private ProxyError Explain(Exception exception)
    {
        switch (exception)
        {
            case BrokenAnswerException:
                return ProxyError.AnswerInterrupted;
            case IOException:
                return ProxyError.UpstreamFailed; // larger than an answer can be
        }

        Log.Unexpected(logger, exception);
        return ProxyError.Internal;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The proxy failed on a Messages request")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
