using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// Carries an answer to the client as it comes. Of an event stream only whole events go out, each read flushed at once, so that a stream
/// which breaks can be ended with an event that says so; the end without <c>[DONE]</c> is a break, too.
/// </summary>
internal static class ResponseRelay
{
    public static async Task<AttemptFailure> CopyAsync(Attempt attempt, HttpResponse response)
    {
        var (read, failure) = (attempt.FirstBytes, AttemptFailure.None);
        while (read > 0 && failure == AttemptFailure.None)
        {
            await response.Body.WriteAsync(attempt.Buffer[..read], attempt.Client);
            (read, failure) = await attempt.ReadAsync(kept: 0);
        }

        return failure;
    }

    public static async Task<AttemptFailure> CopyEventsAsync(Attempt attempt, HttpResponse response)
    {
        var (held, midEvent, done) = (attempt.FirstBytes, false, false);
        while (true)
        {
            var whole = WholeEvents(attempt.Buffer.Span[..held]);
            if (whole > 0)
            {
                midEvent = false;
            }
            else if (held == attempt.Buffer.Length)
            {
                (whole, midEvent) = (held, true); // one event larger than the buffer
            }

            if (whole > 0)
            {
                done = EndsWithDone(attempt.Buffer.Span[..whole]);
                await response.Body.WriteAsync(attempt.Buffer[..whole], attempt.Client);
                attempt.Buffer.Span[whole..held].CopyTo(attempt.Buffer.Span);
                held -= whole;
            }

            var (read, failure) = await attempt.ReadAsync(held);
            held += read;
            if (failure == AttemptFailure.None && read > 0)
            {
                continue;
            }

            if (failure == AttemptFailure.None && (EndsWithDone(attempt.Buffer.Span[..held]) || (done && held == 0)))
            {
                await response.Body.WriteAsync(attempt.Buffer[..held], attempt.Client);
                return AttemptFailure.None;
            }

            if (failure != AttemptFailure.ClientGone)
            {
                await WriteBreakAsync(response, midEvent, attempt.Client);
            }

            return failure == AttemptFailure.None ? AttemptFailure.Cut : failure;
        }
    }

    /// <summary>Where the last whole event ends: behind its empty line.</summary>
    internal static int WholeEvents(ReadOnlySpan<byte> bytes)
    {
        var lf = bytes.LastIndexOf("\n\n"u8);
        var crlf = bytes.LastIndexOf("\n\r\n"u8);
        return Math.Max(lf < 0 ? 0 : lf + 2, crlf < 0 ? 0 : crlf + 3);
    }

    internal static bool EndsWithDone(ReadOnlySpan<byte> bytes) => bytes.TrimEnd("\r\n "u8).EndsWith("[DONE]"u8);

    private static async Task WriteBreakAsync(HttpResponse response, bool midEvent, CancellationToken cancellationToken)
    {
        byte[] broken = [.. midEvent ? "\n\n"u8 : ""u8, .. "data: "u8, .. ProxyError.StreamInterrupted.ToJson(), .. "\n\n"u8];
        await response.Body.WriteAsync(broken, cancellationToken);
    }
}
