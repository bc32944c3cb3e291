using System.Buffers;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Asks the model for a flight, passes on what it says as it comes, and keeps the answer where it is whole.</summary>
internal sealed class FlightCaller(ResponseCache cache)
{
    private const int BufferSize = 16 * 1024;
    private const string Kept = "kept";

    /// <returns>The answer, where it is kept.</returns>
    /// <param name="flight">Gets the answer.</param>
    /// <param name="question">What is asked.</param>
    /// <param name="upstream">How.</param>
    /// <param name="rejoin">Where a part of an answer is in the flight already.</param>
    public async Task<CachedAnswer?> AskAsync(Flight flight, CacheQuestion question, UpstreamCall upstream, Rejoin? rejoin)
    {
        // 1. Whatever is dropped from now on drops this answer, too.
        var epoch = cache.Epoch;
        using var response = await upstream.SendAsync(flight.Outcome, flight.Stop);
        var head = FlightHead.Of(response);
        if (rejoin is null)
            flight.Add(new FlightPart { Head = head });
        else if (!head.IsOk || head.IsStream != flight.Mode.IsStream || head.IsEncoded)
            throw new IOException("The answer broke off, and the model gives none now.");

        // 2. As it comes, to whoever reads.
        var recorder = head.Recorder(question.Kind, cache.Options);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(flight.Stop);
            while (await body.ReadAsync(buffer, flight.Stop) is > 0 and var read)
            {
                var bytes = buffer.AsMemory(0, read).ToArray();
                recorder?.Add(bytes);
                if (recorder is { IsDone: true })
                    flight.MarkSafe();
                await PassAsync(flight, rejoin is null ? bytes : rejoin.Next(bytes));
            }

            await PassAsync(flight, rejoin?.End() ?? []);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        // 3. Kept before its end is told, so that whoever comes next finds it.
        var answer = cache.Make(question, flight, recorder?.End(flight.Outcome.Usage), head.Provider, epoch, out var isFinished);
        var fate = Fate(head, recorder, answer, isFinished);
        cache.Answered(fate);
        flight.Answer = answer;
        Complete(flight.Outcome, answer, head);
        var isKept = fate == Kept;
        if (isKept)
        {
            cache.Note(question, answer!);
            cache.Keep(answer!);
        }

        cache.Flights.Unlist(flight);
        flight.Add(new FlightPart { IsEnd = true });
        return isKept ? answer : null;
    }

    private static async ValueTask PassAsync(Flight flight, byte[] bytes)
    {
        if (bytes.Length == 0)
            return;
        flight.Add(new FlightPart { Bytes = bytes });
        await flight.RoomAsync();
    }

    private string Fate(FlightHead head, AnswerRecorder? recorder, CachedAnswer? answer, bool isFinished)
    {
        if (!head.IsOk)
            return "refused";
        if (head[FallbackMark.Header] is not null || recorder is { IsFallback: true })
            return "fallback";
        if (recorder is { IsTooLarge: true } || answer?.Json.Length > cache.Options.MaxAnswerBytes)
            return "too_large";
        return answer is null ? "broken" : isFinished ? Kept : "unfinished";
    }

    // What nobody else has told of the call, the answer itself says.
    private static void Complete(InferenceOutcome outcome, CachedAnswer? answer, FlightHead head)
    {
        if (answer is null)
            return;
        if (outcome.Usage is null && answer.Usage is not null)
            (outcome.Usage, outcome.UsageSource) = (answer.Usage, UsageSource.Reported);
        outcome.Model ??= answer.Model;
        outcome.Provider ??= head.Provider;
        outcome.IsComplete = true;
    }
}
