using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>Retries, slow statements, and a pool that has nothing left to give.</summary>
public sealed class DatabaseLoadTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private const int Quick = 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(PostgresErrorCodes.DeadlockDetected, 4)]
    [InlineData(PostgresErrorCodes.SerializationFailure, 4)]
    [InlineData(PostgresErrorCodes.TooManyConnections, 4)]
    [InlineData(PostgresErrorCodes.UniqueViolation, 1)]
    [InlineData(PostgresErrorCodes.CheckViolation, 1)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege, 1)]
    [InlineData(PostgresErrorCodes.SyntaxError, 1)]
    public async Task UnitOfWork_ThatKeepsFailing_IsRetriedThriceWhereItMayPass(string state, int attempts)
    {
        using var host = database.Services();
        var statement = $"DO $do$ BEGIN RAISE EXCEPTION 'made' USING ERRCODE = '{state}'; END $do$";
        var runs = 0;

        await Assert.ThrowsAnyAsync<Exception>(() => host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            async (db, ct) =>
            {
                runs++;
                await db.Database.ExecuteSqlRawAsync(statement, ct);
            },
            Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel));

        Assert.Equal(attempts, runs);
    }

    [Fact]
    public async Task Pool_Exhausted_IsUnavailableInBoundedTime_AndServesAgain()
    {
        using var host = database.Services(
            new NpgsqlConnectionStringBuilder(database.App) { MaxPoolSize = 2, Timeout = 1 }.ConnectionString);
        var source = host.Services.GetRequiredService<NpgsqlDataSource>();
        var held = new[] { await source.OpenConnectionAsync(Cancel), await source.OpenConnectionAsync(Cancel) };

        var asked = Stopwatch.GetTimestamp();
        var failures = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var connection = await source.OpenConnectionAsync(Cancel);
        }))).WaitAsync(TimeSpan.FromSeconds(30), Cancel);

        Assert.All(failures, failure => Assert.True(DatabaseErrors.IsUnavailable(failure), failure.ToString()));
        Assert.InRange(Stopwatch.GetElapsedTime(asked).TotalSeconds, 0.5, 15);
        foreach (var connection in held)
            await connection.DisposeAsync();
        await using var again = await source.OpenConnectionAsync(Cancel);
    }

    [Fact]
    public async Task SlowStatement_OfEitherKind_IsLoggedWithoutItsValues()
    {
        var log = new LogQueue();
        using var slow = new MeterListener();
        var counted = 0L;
        slow.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == SlowQueries.MeterName)
                listener.EnableMeasurementEvents(instrument);
        };
        slow.SetMeasurementEventCallback<long>((_, count, _, _) => Interlocked.Add(ref counted, count));
        slow.Start();
        using var services = new ServiceCollection().AddMetrics()
            .AddLogging(logging => logging.AddProvider(log)).BuildServiceProvider();
        var queries = new SlowQueries(
            TimeSpan.FromMilliseconds(
                100), services.GetRequiredService<ILogger<SlowQueries>>(), services.GetRequiredService<IMeterFactory>());
        var builder = new NpgsqlDataSourceBuilder(database.App);
        builder.UseLoggerFactory(queries);
        await using var source = builder.Build();

        // A busy machine may make some of them slow, but not all.
        for (var i = 0; i < Quick; i++)
        {
            await using var quick = source.CreateCommand("SELECT 1 AS quick");
            await quick.ExecuteNonQueryAsync(Cancel);
        }

        await using (var one = source.CreateCommand("SELECT pg_sleep($1), 'a secret of ''theirs''', $2"))
        {
            one.Parameters.Add(new() { Value = 0.15 });
            one.Parameters.Add(new() { Value = "somebody@example.com" });
            await one.ExecuteNonQueryAsync(Cancel);
        }

        await using (var batch = source.CreateBatch())
        {
            batch.BatchCommands.Add(new("SELECT pg_sleep(0.15)"));
            batch.BatchCommands.Add(new("SELECT 2"));
            await batch.ExecuteNonQueryAsync(Cancel);
        }

        var lines = log.Lines.Where(line => line.StartsWith("A statement took", StringComparison.Ordinal)).ToArray();
        Assert.InRange(lines.Count(IsQuick), 0, Quick - 1);
        lines = [.. lines.Where(line => !IsQuick(line))];
        Assert.Equal(2, lines.Length);
        Assert.EndsWith("SELECT pg_sleep($1), '…', $2", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("SELECT pg_sleep(0.15); SELECT 2", lines[1], StringComparison.Ordinal);
        Assert.DoesNotContain(log.Lines, line => line.Contains("secret", StringComparison.Ordinal) || line.Contains('@'));
        Assert.True(counted >= 2);

        static bool IsQuick(string line) => line.EndsWith("quick", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pool_Metrics_TellWhatIsUsedAndWhatThereIs()
    {
        using var host = database.Services();
        var source = host.Services.GetRequiredService<NpgsqlDataSource>();
        await using var held = await source.OpenConnectionAsync(Cancel);
        var seen = new ConcurrentBag<(string Name, long Value, string Tags)>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, meters) =>
            {
                if (instrument.Meter.Name == "Npgsql")
                    meters.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) =>
            seen.Add((instrument.Name, value, string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}")))));
        listener.Start();

        listener.RecordObservableInstruments();

        Assert.Contains(seen, one => one is { Name: "db.client.connection.count", Value: > 0 }
            && one.Tags.Contains("state=used", StringComparison.Ordinal)
            && one.Tags.Contains("pool.name=valuecanvas", StringComparison.Ordinal));
        Assert.Contains(seen, one => one is { Name: "db.client.connection.max", Value: 30 or 60 });
        Assert.DoesNotContain(seen, one => one.Tags.Contains("pool.name=valuecanvas", StringComparison.Ordinal)
            && one.Tags.Contains("127.0.0.1", StringComparison.Ordinal));
    }
}
