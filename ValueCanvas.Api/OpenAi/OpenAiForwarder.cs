using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Cache;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.OpenAi;

/// <summary>Passes requests under /v1 to the inference proxy and its answers back, byte for byte and as they come.</summary>
internal sealed partial class OpenAiForwarder(
    InferenceClient inference, IOptions<InferenceOptions> options, TimeProvider time, ILogger<OpenAiForwarder> logger)
{
    private const int BufferSize = 16 * 1024;

    public async Task ForwardAsync(HttpContext context, Caller caller)
    {
        // 1. Refuse what is too large before a byte is read or sent.
        BodyLimit.Of(context).CheckLength(context);

        // 2. A key that may use some models only: look which this is for.
        if (caller.Models is { } models && HttpMethods.IsGet(context.Request.Method))
            AllowedModels.CheckRoute(context, models);
        else if (caller.Models is { } allowed)
            await AllowedModels.CheckBodyAsync(context, allowed);

        // 3. Send the body on while it arrives; a client that goes away cancels the call.
        using var request = ToUpstream(context.Request);
        using var response = await inference.ForwardAsync(
            request, caller.Call(
                context.Request.Path.Value!, context.Request.CacheControl(CacheControl.WhenDeterministic)), context.RequestAborted);

        // 4. Status and headers as they are.
        context.Response.StatusCode = (int)response.StatusCode;
        response.CopyTo(context.Response);
        if (caller.Models is { } listed && IsList(context, response))
        {
            await WriteListAsync(context, response, listed);
            return;
        }

        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await context.Response.StartAsync(context.RequestAborted);

        // 5. The body, flushed with each read. What fails from here on cannot change the status any more.
        var streamed = response.Content.Headers.ContentType?.MediaType == "text/event-stream";
        var tail = new EventTail();
        try
        {
            await CopyAsync(response.Content, context, tail, streamed);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone; disposing the response stops the model.
        }
        catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
        {
            Log.BrokeOff(logger, e.GetType().Name);
            context.Features.Get<IHttpActivityFeature>()?.Activity.SetStatus(ActivityStatusCode.Error, "inference_unavailable");
            await BreakOffAsync(context, streamed, tail);
        }
    }

    private static HttpRequestMessage ToUpstream(HttpRequest incoming)
    {
        var request = new HttpRequestMessage(
            new HttpMethod(incoming.Method), new Uri($"{incoming.Path.ToUriComponent()}{incoming.QueryString}", UriKind.Relative));
        if (!HttpMethods.IsGet(incoming.Method))
            request.Content = new StreamContent(incoming.Body, BufferSize);
        incoming.Headers.CopyTo(request);
        return request;
    }

    private static bool IsList(HttpContext context, HttpResponseMessage response) =>
        response.IsSuccessStatusCode && HttpMethods.IsGet(context.Request.Method) && context.Request.RouteValues["model"] is not string;

    private async Task WriteListAsync(HttpContext context, HttpResponseMessage response, ModelAllowList models)
    {
        using var bound = new CancellationTokenSource(options.Value.IdleTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, context.RequestAborted);
        var list = AllowedModels.Filter(await response.Content.ReadAsByteArrayAsync(joined.Token), models);
        context.Response.ContentLength = list.Length;
        await context.Response.Body.WriteAsync(list, context.RequestAborted);
    }

    private async Task CopyAsync(HttpContent content, HttpContext context, EventTail tail, bool streamed)
    {
        using var idle = new CancellationTokenSource(options.Value.IdleTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(idle.Token, context.RequestAborted);
        await using var body = await content.ReadAsStreamAsync(joined.Token);
        var writer = context.Response.BodyWriter;
        var meter = TokenMeter.Of(context);
        while (true)
        {
            var buffer = writer.GetMemory(BufferSize);
            var read = await body.ReadAsync(buffer, joined.Token);
            if (read == 0)
                return;
            tail.Note(buffer.Span[..read]);
            meter?.Note(buffer.Span[..read], streamed);
            writer.Advance(read);
            if ((await writer.FlushAsync(context.RequestAborted)).IsCompleted)
                return;
            idle.CancelAfter(options.Value.IdleTimeout);
        }
    }

    /// <summary>A stream ends with an explicit error; anything else is cut: no client may take half an answer for a whole one.</summary>
    private static async Task BreakOffAsync(HttpContext context, bool streamed, EventTail tail)
    {
        if (!streamed || context.Response.ContentLength is not null)
        {
            context.Abort();
            return;
        }

        var failure = new Failure(
            StatusCodes.Status503ServiceUnavailable,
            "inference_unavailable",
            "The model's answer broke off before it was complete. Try again.");
        var dialect = ErrorDialect.Of(context.Request.Path);
        var body = context.Response.Body;
        await body.WriteAsync(tail.Terminator, context.RequestAborted);
        await body.WriteAsync(dialect.EventPrefix, context.RequestAborted);
        await body.WriteAsync(dialect.Body(failure, context), context.RequestAborted);
        await body.WriteAsync("\n\n"u8.ToArray(), context.RequestAborted);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "An answer of the inference proxy broke off after it had begun: {ExceptionType}")]
        public static partial void BrokeOff(ILogger logger, string exceptionType);
    }
}
