using System.Buffers;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// Brings a flight to its end: what another instance has kept, else what another instance is asking for, else a call of the model, whose
/// answer is kept where it is whole.
/// </summary>
/// <param name="cache">Where answers are kept.</param>
/// <param name="follower">Reads along elsewhere.</param>
/// <param name="time">For the wait until somebody elsewhere has paid.</param>
/// <param name="logger">Gets what nothing foresees.</param>
/// <param name="ledger">Null in a host that keeps no books.</param>
internal sealed partial class FlightPilot(
    ResponseCache cache, FlightFollower follower, TimeProvider time, ILogger<FlightPilot> logger, UsageLedger? ledger = null)
{
    private const int BufferSize = 16 * 1024;
    private const int MostFollowed = 3;
    private const string Kept = "kept";

    // A reader elsewhere may have to ask for the end again, which it does within seconds.
    private static readonly TimeSpan UntilPaidElsewhere = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan UntilRedisSays = TimeSpan.FromSeconds(30);

    private ResponseCacheOptions Options => cache.Options;

    /// <summary>Never throws: what fails, its readers are told.</summary>
    /// <param name="flight">A new one.</param>
    /// <param name="question">The first one's.</param>
    /// <param name="upstream">How the model is asked.</param>
    /// <param name="isNewer">What is kept, and what is under way elsewhere, is too old.</param>
    public async Task RunAsync(Flight flight, CacheQuestion question, UpstreamCall upstream, bool isNewer)
    {
        CachedAnswer? kept = null;
        try
        {
            var rejoin = new Rejoin(question.Peek is { IsStream: true, IsDeterministic: true } ? Options.MaxFlightBytes : 0);
            var found = isNewer ? Followed.Nothing : await FindAsync(flight, question, rejoin);
            if (found != Followed.Whole)
                kept = await AskAsync(flight, question, upstream, found == Followed.Part ? rejoin : null);
        }
        catch (Exception e)
        {
            if (e is not (OperationCanceledException or HttpRequestException or IOException or InferenceException))
                Log.Failed(logger, e);
            cache.Flights.Unlist(flight);
            flight.Add(new FlightPart { IsEnd = true, Failure = e });
        }
        finally
        {
            upstream.End();
            await LandAsync(flight, kept);
            await CollectAsync(flight, question);
        }
    }

    /// <summary>
    /// Who paid left, and those who read on elsewhere did not pay either, or Redis kept them from it: then it is owed by who left.
    /// </summary>
    private async Task CollectAsync(Flight flight, CacheQuestion question)
    {
        if (ledger is null || flight.Owing is not { } owing)
            return;
        try
        {
            var entry = ledger.OpenOwed(owing, flight.Outcome, question.Model, question.Mode.IsStream);
            var since = time.GetTimestamp();
            bool? isPaid = null;
            while (isPaid is null && time.GetElapsedTime(since) < UntilRedisSays)
            {
                await Task.Delay(UntilPaidElsewhere, time);
                if (!flight.IsReadElsewhere)
                    isPaid = await cache.Redis.IsPaidAsync(flight.Id);
            }

            if (isPaid is true)
                entry.Drop();
            else
                entry.Leave();
        }
        catch (Exception e)
        {
            Log.Failed(logger, e);
        }
    }

    private async Task LandAsync(Flight flight, CachedAnswer? kept)
    {
        try
        {
            if (flight.IsHeld || kept is not null)
                await cache.Redis.LandAsync(flight.Key, cache.Flights.NameOf(flight), kept);
        }
        catch (Exception e)
        {
            Log.Failed(logger, e);
        }
        finally
        {
            flight.IsHeld = false;
            cache.Flights.Remove(flight);
        }
    }

    /// <summary>Whether the flight has got its end, or what is missing.</summary>
    private async Task<Followed> FindAsync(Flight flight, CacheQuestion question, Rejoin rejoin)
    {
        var isUseless = false;
        for (var follows = 0; ;)
        {
            // 1. What all share, and who asks: both in one question.
            var me = cache.Flights.NameOf(flight);
            var look = await cache.Redis.LookAsync(flight.TenantId, flight.Key, me, isUseless);
            if (look is not var (answer, holder))
                return Followed.Nothing;
            var (fresh, stale) = cache.Sort(question, answer);
            if (fresh is not null)
            {
                cache.Adopt(fresh);
                flight.Add(new FlightPart { Stored = fresh, IsEnd = true });
                return Followed.Whole;
            }

            flight.Stale = stale ?? flight.Stale;
            if (answer is not null && !isUseless)
            {
                isUseless = true;
                continue;
            }

            // 2. Nobody does: this one.
            if (holder is not { } there || there.Instance == me.Instance || follows++ == MostFollowed)
            {
                flight.IsHeld = holder is null;
                return Followed.Nothing;
            }

            // 3. Another instance does.
            flight.PaidElsewhere();
            var followed = await FollowAsync(flight, question, there, rejoin);
            if (followed == Followed.Whole)
                return followed;
            if (followed == Followed.Part)
            {
                if (!rejoin.IsPossible)
                    throw new IOException("The answer broke off: the instance that asked for it is gone.");
                rejoin.Begin();
            }

            flight.PayHere();
            if (followed == Followed.Part)
                return followed;
            isUseless = false;
        }
    }

    private Task<Followed> FollowAsync(Flight flight, CacheQuestion question, FlightName there, Rejoin rejoin)
    {
        AnswerRecorder? recorder = null;
        FlightHead? head = null;
        return follower.FollowAsync(flight, there, () => rejoin.IsPossible, part =>
        {
            rejoin.Had(part.Bytes.Span);
            if (part.Head is not null)
            {
                head = part.Head;
                rejoin.Had(head);
                recorder = Recorder(question, head);
            }

            if (part.IsEnd && part.Failure is null)
                flight.Answer = cache.Make(question, flight, recorder?.End(flight.Outcome.Usage), Provider(head), cache.Epoch, out _);
            else
                recorder?.Add(part.Bytes.Span);
        });
    }

    /// <param name="flight">Gets the answer.</param>
    /// <param name="question">What is asked.</param>
    /// <param name="upstream">How.</param>
    /// <param name="rejoin">Where a part of an answer is in the flight already.</param>
    private async Task<CachedAnswer?> AskAsync(Flight flight, CacheQuestion question, UpstreamCall upstream, Rejoin? rejoin)
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
        var recorder = Recorder(question, head);
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
        var answer = cache.Make(question, flight, recorder?.End(flight.Outcome.Usage), Provider(head), epoch, out var isFinished);
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
        if (recorder is { IsTooLarge: true } || answer?.Json.Length > Options.MaxAnswerBytes)
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
        outcome.Provider ??= Provider(head);
        outcome.IsComplete = true;
    }

    private AnswerRecorder? Recorder(CacheQuestion question, FlightHead head) => head.IsOk && !head.IsEncoded
        ? new AnswerRecorder(question.Kind, head.IsStream, Options.MaxAnswerBytes, Options.MaxFlightBytes)
        : null;

    private static string? Provider(FlightHead? head) => head?[InferenceClient.ProviderHeader];

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "A call of a model for several requests failed in a way that nothing foresees")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
