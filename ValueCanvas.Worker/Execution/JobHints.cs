using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// Lets an idle claim loop sleep until there may be work: until a hint comes through Redis, or the next poll is due. While it has no room,
/// hints go to other workers.
/// </summary>
internal sealed class JobHints(JobSignal signal, IOptions<JobWorkerOptions> options, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan OfferInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan OfferBound = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Distrust = TimeSpan.FromSeconds(5);

    // Of one that may be given up: the next offer says the same again.
    private static readonly TimeSpan Brief = TimeSpan.FromMilliseconds(50);

    // What a worker without hints waits after work, as a part of the most that it waits.
    private const int Soon = 5;

    // Never disposed: it holds nothing, and hints may come after the worker's end.
    private readonly SemaphoreSlim _ready = new(0);
    private volatile bool _available;
    private volatile bool _hasRoom = true;
    private long _distrustUntil = long.MinValue;
    private TimeSpan _pace;

    /// <summary>There may be work at once.</summary>
    public void Set()
    {
        // Two at the same time may both pass; one look too many does no harm.
        if (_ready.CurrentCount == 0)
            _ready.Release();
    }

    /// <summary>Whatever was hinted at until now is looked for next.</summary>
    public void Clear() => _ready.Wait(0, CancellationToken.None);

    /// <summary>There was work of which no hint told: hints get lost, so for a while they are not waited for as long.</summary>
    public void Miss() =>
        _distrustUntil = time.GetTimestamp() + (long)(Distrust.TotalSeconds * time.TimestampFrequency);

    /// <param name="found">Whether there was work just now: then, without hints, the next look is soon.</param>
    /// <param name="cancellationToken">For the end of the worker.</param>
    /// <returns>True for a hint, false where it was time to look.</returns>
    public Task<bool> WaitAsync(bool found, CancellationToken cancellationToken)
    {
        var most = options.Value.PollIntervalWithoutHints;
        _pace = found ? most / Soon : _pace * 2 < most ? _pace * 2 : most;
        var trusted = _available && time.GetTimestamp() > _distrustUntil;
        return _ready.WaitAsync(Jitter.Spread(trusted ? options.Value.PollInterval : _pace), cancellationToken);
    }

    /// <summary>There may be more work than this worker has room for.</summary>
    public Task PassOnAsync() => signal.PassOnAsync();

    /// <summary>From now on hints go to others; one that has come already as well.</summary>
    public async Task CloseAsync()
    {
        _hasRoom = false;
        await OfferAsync(Brief, CancellationToken.None);
        if (_ready.CurrentCount > 0)
            await signal.PassOnAsync();
    }

    /// <summary>Hints come again, also of what is submitted from when this returns.</summary>
    public Task OpenAsync()
    {
        _hasRoom = true;
        return OfferAsync(Brief, CancellationToken.None);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await signal.SubscribeAsync(Set, stoppingToken);
        while (true)
        {
            await OfferAsync(OfferBound, stoppingToken);
            await Task.Delay(OfferInterval, time, stoppingToken);
        }
    }

    private async Task OfferAsync(TimeSpan bound, CancellationToken cancellationToken) =>
        _available = await signal.OfferAsync(_hasRoom, bound, cancellationToken);
}
