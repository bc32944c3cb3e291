using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// Brings a flight to its end: what another instance has kept, else what another instance is asking for, else a call of the model.
/// </summary>
/// <param name="cache">Where answers are kept.</param>
/// <param name="follower">Reads along elsewhere.</param>
/// <param name="caller">Asks the model.</param>
/// <param name="collector">Sees to it that somebody pays.</param>
/// <param name="logger">Gets what nothing foresees.</param>
internal sealed partial class FlightPilot(
    ResponseCache cache, FlightFollower follower, FlightCaller caller, FlightCollector collector, ILogger<FlightPilot> logger)
{
    private const int MostFollowed = 3;

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
            var rejoin = new Rejoin(question.Peek is { IsStream: true, IsDeterministic: true } ? cache.Options.MaxFlightBytes : 0);
            var found = isNewer ? Followed.Nothing : await FindAsync(flight, question, rejoin);
            if (found != Followed.Whole)
                kept = await caller.AskAsync(flight, question, upstream, found == Followed.Part ? rejoin : null);
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
            await collector.CollectAsync(flight, question);
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
                recorder = head.Recorder(question.Kind, cache.Options);
            }

            if (part.IsEnd && part.Failure is null)
                flight.Answer = cache.Make(question, flight, recorder?.End(flight.Outcome.Usage), head?.Provider, cache.Epoch, out _);
            else
                recorder?.Add(part.Bytes.Span);
        });
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "A call of a model for several requests failed in a way that nothing foresees")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
