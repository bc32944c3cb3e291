using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// Who paid left, and those who read on elsewhere did not pay either, or Redis kept them from it: then it is owed by who left.
/// </summary>
/// <param name="cache">Whose Redis knows who has paid.</param>
/// <param name="time">For the wait until somebody elsewhere has.</param>
/// <param name="logger">Gets what nothing foresees.</param>
/// <param name="ledger">Null in a host that keeps no books.</param>
internal sealed partial class FlightCollector(
    ResponseCache cache, TimeProvider time, ILogger<FlightCollector> logger, UsageLedger? ledger = null)
{
    // A reader elsewhere may have to ask for the end again, which it does within seconds.
    private static readonly TimeSpan UntilPaidElsewhere = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan UntilRedisSays = TimeSpan.FromSeconds(30);

    /// <summary>Never throws.</summary>
    public async Task CollectAsync(Flight flight, CacheQuestion question)
    {
        if (ledger is null || flight.Owing is not { } owing)
            return;
        try
        {
            var entry = ledger.OpenOwed(owing, flight.Outcome, question.Model, question.Mode.IsStream);
            if (await IsPaidAsync(flight))
                entry.Drop();
            else
                entry.Leave();
        }
        catch (Exception e)
        {
            Log.Failed(logger, e);
        }
    }

    private async Task<bool> IsPaidAsync(Flight flight)
    {
        var since = time.GetTimestamp();
        bool? isPaid = null;
        while (isPaid is null && time.GetElapsedTime(since) < UntilRedisSays)
        {
            await Task.Delay(UntilPaidElsewhere, time);
            if (!flight.IsReadElsewhere)
                isPaid = await cache.Redis.IsPaidAsync(flight.Id);
        }

        return isPaid is true;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "What a call of a model for several requests costs could not be collected")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
