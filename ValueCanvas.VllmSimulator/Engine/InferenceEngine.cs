using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>
/// Runs the scheduler against the clock: plan a step, wait until its virtual cost has passed, hand out its tokens. Steps are paced by
/// deadlines, so a late timer delays one step and not the rate; an idle engine waits for a request and uses no CPU.
/// </summary>
internal sealed class InferenceEngine : BackgroundService
{
    /// <summary>How far the pace may lag (a paused or starved process) before it is forgotten instead of caught up.</summary>
    private static readonly TimeSpan MaxLag = TimeSpan.FromMilliseconds(200);

    /// <summary>Timers tick in milliseconds: what is nearer than this is due.</summary>
    private static readonly TimeSpan TimerResolution = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _work = new(0, 1);
    private readonly SimulatorOptions _options;
    private readonly Scheduler _scheduler;
    private readonly EngineMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly long _start;

    public InferenceEngine(IOptions<SimulatorOptions> options, EngineMetrics metrics, TimeProvider time)
    {
        _options = options.Value;
        _metrics = metrics;
        _scheduler = new Scheduler(_options, metrics);
        _time = time;
        _start = time.GetTimestamp();
    }

    /// <summary>Queues the sequences, or runs them to their end at once where there is no delay.</summary>
    public void Submit(ReadOnlySpan<Sequence> sequences)
    {
        lock (_gate)
        {
            var now = Now();
            foreach (var sequence in sequences)
            {
                if (_options.ZeroDelay)
                    _scheduler.RunToEnd(sequence, now);
                else
                    _scheduler.Add(sequence, now);
            }
        }
        if (!_options.ZeroDelay)
            Wake();
    }

    public void Abort(ReadOnlySpan<Sequence> sequences)
    {
        lock (_gate)
        {
            foreach (var sequence in sequences)
                _scheduler.Abort(sequence, Now());
        }
    }

    /// <summary>The API server's own part of a request: parsing, tokenising, writing. It overlaps with other requests' steps.</summary>
    public Task DelayForOverheadAsync(int promptTokens, CancellationToken cancellationToken)
    {
        if (_options.ZeroDelay)
            return Task.CompletedTask;

        var overhead = _options.RequestOverheadMilliseconds + promptTokens * _options.RequestOverheadMicrosecondsPerToken / 1000;
        return overhead < 1 ? Task.CompletedTask : Task.Delay(TimeSpan.FromMilliseconds(overhead), _time, cancellationToken);
    }

    /// <summary>The state that /metrics and /load show, read at one instant.</summary>
    public T Read<T>(Func<EngineMetrics, EngineState, T> read)
    {
        lock (_gate)
            return read(_metrics, new EngineState(_scheduler.Running, _scheduler.Waiting, _scheduler.Blocks.Usage));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var deadline = Now();
        while (!stoppingToken.IsCancellationRequested)
        {
            TimeSpan? cost;
            lock (_gate)
                cost = _scheduler.Plan(Now());

            if (cost is null)
            {
                await _work.WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                deadline = Now();
                continue;
            }

            var earliest = Now() - MaxLag;
            deadline = (deadline < earliest ? earliest : deadline) + cost.Value;
            var wait = deadline - Now();
            if (wait >= TimerResolution)
                await Task.Delay(wait, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            lock (_gate)
                _scheduler.Complete(Now());
        }
    }

    public override void Dispose()
    {
        _work.Dispose();
        base.Dispose();
    }

    private TimeSpan Now() => _time.GetElapsedTime(_start);

    private void Wake()
    {
        lock (_gate)
        {
            if (_work.CurrentCount == 0)
                _work.Release();
        }
    }
}

/// <summary>Gauges of the engine: sequences running and waiting, and the part of the KV cache in use (0 to 1).</summary>
internal readonly record struct EngineState(int Running, int Waiting, double KvCacheUsage);
