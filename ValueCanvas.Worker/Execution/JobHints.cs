using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Lets an idle claim loop sleep until there may be work: until a hint comes through Redis, or the next poll is due.</summary>
internal sealed class JobHints(JobSignal signal, IOptions<JobWorkerOptions> options, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan ProbeInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Distrust = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _ready = new(0);
    private volatile bool _available;
    private long _distrustUntil = long.MinValue;

    /// <summary>There may be work at once.</summary>
    public void Set()
    {
        // Two at the same time may both pass; one look too many does no harm.
        if (_ready.CurrentCount == 0)
            _ready.Release();
    }

    /// <summary>There was work of which no hint told: hints get lost, so for a while they are not waited for as long.</summary>
    public void Miss() =>
        _distrustUntil = time.GetTimestamp() + (long)(Distrust.TotalSeconds * time.TimestampFrequency);

    /// <returns>True for a hint, false where it was time to look.</returns>
    public Task<bool> WaitAsync(CancellationToken cancellationToken)
    {
        var trusted = _available && time.GetTimestamp() > _distrustUntil;
        var interval = trusted ? options.Value.PollInterval : options.Value.PollIntervalWithoutHints;
        return _ready.WaitAsync(Jitter.Spread(interval), cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        _ready.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await signal.SubscribeAsync(Set, stoppingToken);
        while (true)
        {
            _available = await signal.IsAvailableAsync(stoppingToken);
            await Task.Delay(ProbeInterval, time, stoppingToken);
        }
    }
}
