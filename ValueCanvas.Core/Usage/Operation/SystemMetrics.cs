using System.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage.Operation;

/// <summary>Writes to <c>system_metrics</c>, once a minute, what a process saw of itself: for whoever has the database and no metrics
/// store.</summary>
internal sealed class SystemMetrics(
    NpgsqlDataSource database, IHostEnvironment environment, IOptions<UsageOptions> options, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Retention = TimeSpan.FromDays(30);
    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private readonly string _instance = $"{environment.ApplicationName}@{Environment.MachineName}:{Environment.ProcessId}";
    private (long At, TimeSpan Processor)? _before;
    private long? _prunedAt;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.MetricsInterval, time);
        try
        {
            do
                await WriteAsync(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the service.
        }
    }

    private async Task WriteAsync(CancellationToken stoppingToken)
    {
        var values = Read();
        using var bound = new CancellationTokenSource(options.Value.WriteTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, stoppingToken);
        try
        {
            await using var command = database.CreateCommand(
                """
                INSERT INTO system_metrics (created_at, instance, name, value)
                SELECT $1, $2, m.name, m.value FROM unnest($3, $4) AS m (name, value)
                ON CONFLICT DO NOTHING
                """);
            command.Parameters.Add(new() { Value = time.GetUtcNow(), NpgsqlDbType = NpgsqlDbType.TimestampTz });
            command.Parameters.Add(new() { Value = _instance });
            command.Parameters.Add(new() { Value = values.Select(value => value.Name).ToArray() });
            command.Parameters.Add(new() { Value = values.Select(value => value.Value).ToArray() });
            await command.ExecuteNonQueryAsync(joined.Token);
            await PruneAsync(joined.Token);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested && UsageTable.IsAway(exception))
        {
            // A minute is missing.
        }
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        if (_prunedAt is { } last && time.GetElapsedTime(last) < PruneInterval)
            return;
        _prunedAt = time.GetTimestamp();
        await using var command = database.CreateCommand("DELETE FROM system_metrics WHERE created_at < $1");
        command.Parameters.Add(new() { Value = time.GetUtcNow() - Retention });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private (string Name, double Value)[] Read()
    {
        using var process = Process.GetCurrentProcess();
        var (now, processor) = (time.GetTimestamp(), process.TotalProcessorTime);
        var busy = _before is var (at, before) && time.GetElapsedTime(at, now) is { Ticks: > 0 } passed
            ? (processor - before) / passed
            : 0;
        _before = (now, processor);
        return
        [
            ("process.cpu.cores", busy),
            ("process.memory.bytes", process.WorkingSet64),
            ("process.threads", process.Threads.Count),
            ("dotnet.gc.heap.bytes", GC.GetTotalMemory(forceFullCollection: false)),
            ("dotnet.gc.pause.seconds", GC.GetTotalPauseDuration().TotalSeconds),
            ("dotnet.thread_pool.queue", ThreadPool.PendingWorkItemCount),
            ("dotnet.thread_pool.threads", ThreadPool.ThreadCount),
        ];
    }
}
