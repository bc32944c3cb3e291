using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>
/// Writes rows in groups: while one group is committed the next gathers, so that a busy service costs the database few transactions and an
/// idle one waits for nothing. Rows that PostgreSQL does not take in time go to disk, and from there to PostgreSQL when it is back.
/// </summary>
internal sealed partial class UsageWriter(
    UsageTable table, UsageSpill spill, OpenCalls open, UsageMetrics metrics, IOptions<UsageOptions> options, TimeProvider time,
    ILogger<UsageWriter> logger) : BackgroundService
{
    private const int Capacity = 20_000;
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(10);

    // Where nobody waits, the database gets more rows at once.
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Pending> _awaited = Rows();
    private readonly Channel<Pending> _others = Rows();
    private readonly TaskCompletionSource _ending = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _away;

    /// <summary>Returns when the row is safe: in the database, or on disk.</summary>
    public async Task CommitAsync(UsageRow row)
    {
        var pending = new Pending(row, new(TaskCreationOptions.RunContinuationsAsynchronously));
        if (_awaited.Writer.TryWrite(pending))
            await pending.Written!.Task;
        else
            Keep([pending]); // too many at once, or the end of the service
    }

    /// <summary>For a row that nothing waits for. Budgets go by what cost something: that is written as soon as any.</summary>
    public void Add(UsageRow row)
    {
        var pending = new Pending(row, null);
        if (!(row.Cost is > 0 ? _awaited : _others).Writer.TryWrite(pending))
            Keep([pending]);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _awaited.Writer.TryComplete();
        _others.Writer.TryComplete();
        _ending.TrySetResult();
        if (ExecuteTask is { } running)
            await ((Task)running.WaitAsync(cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
        while (_awaited.Reader.TryRead(out var left) || _others.Reader.TryRead(out left))
            Keep([left]);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var replaying = ReplayAsync(ended.Token);
        await Task.WhenAll(WriteAllAsync(_awaited.Reader, TimeSpan.Zero), WriteAllAsync(_others.Reader, Gather));
        await ended.CancelAsync();
        await replaying;
    }

    private async Task WriteAllAsync(ChannelReader<Pending> rows, TimeSpan gather)
    {
        List<Pending> group = new(options.Value.GroupSize);
        while (await rows.WaitToReadAsync(CancellationToken.None))
        {
            if (gather > TimeSpan.Zero && rows.Count < options.Value.GroupSize)
                await _ending.Task.WaitAsync(gather, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            while (group.Count < options.Value.GroupSize && rows.TryRead(out var next))
                group.Add(next);
            await WriteAsync(group);
            group.Clear();
        }
    }

    private async Task WriteAsync(List<Pending> group)
    {
        if (_away)
        {
            Keep(group);
            return;
        }

        var started = time.GetTimestamp();
        try
        {
            await table.WriteAsync([.. group.Select(pending => pending.Row)], CancellationToken.None);
            metrics.Committed(time.GetElapsedTime(started));
            metrics.Rows(group.Count, "database");
            Done(group);
        }
        catch (Exception exception) when (UsageTable.IsTheirFault(exception))
        {
            await WriteSinglyAsync(group);
        }
        catch (Exception exception) when (UsageTable.IsAway(exception))
        {
            Away(exception);
            Keep(group);
        }
    }

    private async Task WriteSinglyAsync(List<Pending> group)
    {
        try
        {
            await spill.WriteSinglyAsync([.. group.Select(pending => pending.Row)], CancellationToken.None);
            Done(group);
        }
        catch (Exception exception) when (UsageTable.IsAway(exception))
        {
            Away(exception);
            Keep(group);
        }
    }

    private void Away(Exception exception)
    {
        _away = true;
        Log.Away(logger, exception.GetType().Name);
    }

    private void Keep(List<Pending> group)
    {
        spill.TryKeep([.. group.Select(pending => pending.Row)]);
        Done(group);
    }

    private void Done(List<Pending> group)
    {
        foreach (var (row, written) in group)
        {
            // Until here its note stands for it.
            open.Close(row.Id);
            written?.SetResult();
        }
    }

    // Where none is under way, the group is written by whoever brings its first row.
    private static Channel<Pending> Rows() =>
        Channel.CreateBounded<Pending>(new BoundedChannelOptions(Capacity) { SingleReader = true, AllowSynchronousContinuations = true });

    /// <summary>Brings in what was left on disk, from the start on; and what processes have left that died in the middle of
    /// calls.</summary>
    private async Task ReplayAsync(CancellationToken stoppingToken)
    {
        try
        {
            long? looked = null;
            using var timer = new PeriodicTimer(options.Value.ReplayInterval, time);
            do
            {
                try
                {
                    var look = looked is not { } at || time.GetElapsedTime(at) >= LookInterval;
                    if (look)
                        open.WriteOff(spill);
                    if ((look || _away || spill.IsHolding) && await spill.TryReplayAsync(stoppingToken))
                    {
                        _away = false;
                        looked = look ? time.GetTimestamp() : looked;
                    }
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    Log.Unreadable(logger, exception.GetType().Name);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the service: what is on disk stays there for the next.
        }
    }

    private readonly record struct Pending(UsageRow Row, TaskCompletionSource? Written);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Usage rows are kept on disk: the database does not take them ({ExceptionType})")]
        public static partial void Away(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Error, "Usage rows that wait on disk cannot be read ({ExceptionType})")]
        public static partial void Unreadable(ILogger logger, string exceptionType);
    }
}
