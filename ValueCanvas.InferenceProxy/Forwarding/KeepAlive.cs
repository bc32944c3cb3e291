using System.Globalization;
using System.Text;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// Keeps a stream's client, and whatever stands between, from giving up on a slow first token: after a while it gets a comment, again and
/// again. With the first of them the status is out: from then on a failure is an error event, and who answered a comment at the end.
/// </summary>
internal static class KeepAlive
{
    private const string Fallback = $"; {ForwardedHeaders.Fallback}: 1";

    private static readonly byte[] Comment = ": keep-alive\n\n"u8.ToArray();

    /// <summary>Waits for what the client waits for, with a comment each time that it has waited long.</summary>
    public static async Task<T> WaitAsync<T>(HttpContext context, ForwardedCall call, Task<T> awaited, TimeProvider time)
    {
        while (!awaited.IsCompleted)
        {
            var wait = call.Topology.Options.KeepAlive - time.GetElapsedTime(call.LastSign);
            if (wait > TimeSpan.Zero)
            {
                try
                {
                    return await awaited.WaitAsync(wait, time, CancellationToken.None);
                }
                catch (TimeoutException)
                {
                    // Time for a comment.
                }
            }

            call.LastSign = time.GetTimestamp();
            try
            {
                await WriteAsync(context, context.RequestAborted);
            }
            catch
            {
                context.Abort(); // nobody reads any more, which ends what is awaited, too
                break;
            }
        }

        return await awaited;
    }

    public static async Task WriteTargetAsync(
        HttpResponse response, Replica replica, ForwardedCall call, CancellationToken cancellationToken)
    {
        var comment = string.Create(
            CultureInfo.InvariantCulture,
            $": {ForwardedHeaders.Target}: {replica.Name}; {ForwardedHeaders.Attempts}: {call.Attempts}"
                + $"{(call.IsFallback ? Fallback : "")}\n\n");
        try
        {
            await response.Body.WriteAsync(Encoding.UTF8.GetBytes(comment), cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Many clients leave at [DONE]; they have had the whole answer.
        }
    }

    /// <summary>A server's refusal, told as an event where it is an error object; else ours.</summary>
    public static Task WriteRefusalAsync(HttpContext context, Attempt attempt)
    {
        var body = attempt.Ready.Span.Trim(" \r\n"u8);
        if (!body.StartsWith("{"u8) || body.IndexOf("\"error\""u8) < 0
            || !Resilience.StreamEvent.Read(body).Signs.HasFlag(Resilience.EventSigns.Error))
        {
            return ResponseRelay.WriteErrorAsync(context.Response, ProxyError.UpstreamFailed, attempt.Client);
        }

        // Lines of a pretty body become lines of one event.
        var lines = Encoding.UTF8.GetString(body).ReplaceLineEndings("\ndata: ");
        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"data: {lines}\n\n"), attempt.Client).AsTask();
    }

    private static async Task WriteAsync(HttpContext context, CancellationToken cancellationToken)
    {
        if (!context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status200OK;
            context.Response.ContentType = "text/event-stream; charset=utf-8";
            context.Response.Headers.CacheControl = "no-cache";
        }

        await context.Response.Body.WriteAsync(Comment, cancellationToken);
        await context.Response.Body.FlushAsync(cancellationToken);
    }
}
