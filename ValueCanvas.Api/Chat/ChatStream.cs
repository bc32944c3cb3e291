using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Chat;

/// <summary>
/// An answer as server-sent events: <c>data: {"delta":"…"}</c> for each piece, then either <c>event: done</c> with the data object of the
/// answer that is not streamed, or <c>event: error</c> with problem details. One of the two always comes.
/// The enumerator that it is given stands on its first item already.
/// </summary>
internal sealed class ChatStream(IAsyncEnumerator<ChatDelta> deltas, Func<ChatCompletion, ChatData> toData) : IResult
{
    private static readonly ChatContext Context = new(JsonText.Options);

    public async Task ExecuteAsync(HttpContext context)
    {
        await using var owned = deltas;
        var writer = context.Response.BodyWriter;
        var meter = TokenMeter.Of(context);
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        // Reverse proxies such as nginx must not collect events either.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        try
        {
            do
            {
                meter?.NotePiece(deltas.Current.Text);
                await WriteAsync(writer, deltas.Current, context.RequestAborted);
            }
            while (await deltas.MoveNextAsync());
        }
        catch (Exception e) when (Failures.From(e, context) is { } failure)
        {
            // The status has been sent: an explicit event, never a silent end; the span's status says it, too.
            context.Features.Get<IHttpActivityFeature>()?.Activity.SetStatus(ActivityStatusCode.Error, failure.Code);
            Write(writer, "error", ErrorBodies.Problem(failure, context));
            await writer.FlushAsync(context.RequestAborted);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone; disposing the deltas stops the model.
        }
    }

    private async ValueTask WriteAsync(PipeWriter writer, ChatDelta delta, CancellationToken cancellationToken)
    {
        if (delta.Completion is { } completion)
            Write(writer, "done", JsonSerializer.SerializeToUtf8Bytes(toData(completion), Context.ChatData));
        else
            Write(writer, null, JsonSerializer.SerializeToUtf8Bytes(new ChatDeltaData(delta.Text), Context.ChatDeltaData));
        await writer.FlushAsync(cancellationToken);
    }

    private static void Write(PipeWriter writer, string? name, ReadOnlySpan<byte> json)
    {
        if (name is not null)
            writer.Write(System.Text.Encoding.UTF8.GetBytes($"event: {name}\n"));
        writer.Write("data: "u8);
        writer.Write(json);
        writer.Write("\n\n"u8);
    }
}
