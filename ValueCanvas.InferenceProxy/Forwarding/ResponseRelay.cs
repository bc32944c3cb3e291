using System.Net.Sockets;
using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// Carries an answer to the client as it comes. Of an event stream only whole, sound events go out, each read flushed at once, so that a
/// stream which breaks can be ended with an event that says so. What a stream was worth is known at its end.
/// </summary>
internal static class ResponseRelay
{
    // Closes an event of which a part has gone out.
    private static readonly byte[] MidEvent = "\n\n"u8.ToArray();

    public static async Task<AttemptFailure> CopyAsync(Attempt attempt, HttpResponse response)
    {
        while (true)
        {
            await response.Body.WriteAsync(attempt.Ready, attempt.Client);
            var (read, failure) = await attempt.ReadAsync();
            if (read == 0)
                return failure;
        }
    }

    public static async Task<AttemptFailure> CopyEventsAsync(Attempt attempt, HttpResponse response)
    {
        var judge = attempt.Judge;
        while (true)
        {
            if (attempt.Ready.Length > 0)
                await response.Body.WriteAsync(attempt.Ready, attempt.Client);

            try
            {
                if (!judge.IsStopped && attempt.MustWait(out var wait))
                    await wait;
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The read says what it means.
            }

            var (read, failure) = judge.IsStopped ? (0, judge.Failure) : await attempt.ReadAsync();
            if (read > 0)
                continue;

            if (failure == AttemptFailure.ClientGone)
                return failure;

            if (failure == AttemptFailure.None && attempt.Ready.Length > 0)
            {
                await response.Body.WriteAsync(attempt.Ready, attempt.Client); // the last event, without its empty line
            }

            if (judge.IsClientFault || (judge.Failure == AttemptFailure.ErrorEvent && !judge.HoldsErrors))
            {
                return judge.Failure; // told by the server itself
            }

            if (judge.IsDone || (failure == AttemptFailure.None && judge.IsComplete && !attempt.IsMidEvent))
                return AttemptFailure.None;

            failure = failure != AttemptFailure.None ? failure : judge.Failure != AttemptFailure.None ? judge.Failure : AttemptFailure.Cut;
            if (!attempt.CanGoOn(failure))
                await WriteBreakAsync(response, attempt.IsMidEvent ? MidEvent : attempt.HeldError(), attempt.Client);

            return failure;
        }
    }

    /// <summary>Ends a stream that has begun with an error event.</summary>
    public static async Task WriteErrorAsync(HttpResponse response, ProxyError error, CancellationToken cancellationToken)
    {
        byte[] told = [.. "data: "u8, .. error.ToJson(), .. "\n\n"u8];
        await response.Body.WriteAsync(told, cancellationToken);
    }

    /// <summary>Ends a stream that broke: in the server's own words where it had any, else in ours.</summary>
    public static async Task WriteBreakAsync(HttpResponse response, byte[]? error, CancellationToken cancellationToken)
    {
        if (error is not null)
            await response.Body.WriteAsync(error, cancellationToken);

        if (error is null || error == MidEvent)
            await WriteErrorAsync(response, ProxyError.StreamInterrupted, cancellationToken);
    }
}
