using System.Diagnostics;
using Npgsql;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Jobs;

namespace ValueCanvas.Tests.Chaos;

/// <summary>
/// One fault after another while clients submit and workers work. After each: no accepted job is lost, each ends once, with the right text,
/// and is charged once; and the work goes on as before.
/// </summary>
public sealed partial class ChaosTests(ChaosFleet fleet) : IClassFixture<ChaosFleet>
{
    private const double Recovered = 0.95;
    private static readonly ChaosSize Size = ChaosSize.Current;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(30);

    private readonly Random _random = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public Task Workers_KilledAtRandomMoments_LoseNoJob() => UnderAsync("worker SIGKILL", async () =>
    {
        for (var i = 0; i < Size.Times; i++)
        {
            await Task.Delay(Size.Fault / 2 * _random.NextDouble(), TimeProvider.System, Cancel);
            await fleet.Workers[i % Size.Workers].KillAsync();
            await fleet.ReplaceWorkerAsync(i % Size.Workers);
        }
    });

    /// <summary>In every run of the tests <see cref="FrozenWorkerTests"/> does so.</summary>
    [Fact(Explicit = true)]
    public Task Worker_FrozenAndThawed_ItsJobsAreOthersAndItWorksAgain() => UnderAsync("worker SIGSTOP, then SIGCONT", async () =>
    {
        var frozen = fleet.Workers[0];
        var its = $"worker_id LIKE '%-{frozen.Id}-%'";
        await fleet.UntilAsync($"SELECT count(*) > 1 FROM llm_jobs WHERE state = 'running' AND {its}");
        var frozenAt = Stopwatch.GetTimestamp();
        await frozen.FreezeAsync();
        var held = await fleet.ScalarAsync<long>($"SELECT count(*) FROM llm_jobs WHERE state = 'running' AND {its}");
        // Of one it may be in the middle of a transaction, which PostgreSQL ends after half a minute.
        await fleet.UntilAsync($"SELECT count(*) < {Math.Max(held, 1)} FROM llm_jobs WHERE state = 'running' AND {its}");
        var left = Size.Frozen - Stopwatch.GetElapsedTime(frozenAt);
        if (left > TimeSpan.Zero)
            await Task.Delay(left, TimeProvider.System, Cancel);

        var thawedAt = await fleet.NowAsync();
        await frozen.ThawAsync();
        await fleet.UntilAsync($"SELECT count(*) > 0 FROM llm_job_events WHERE event = 'claimed' AND at > '{thawedAt}' AND {its}");
    });

    [Fact]
    public Task Postgres_RestartedUnderLoad_LosesNoJob() => UnderAsync("PostgreSQL restarted", async () =>
    {
        for (var i = 0; i < Math.Max(1, Size.Times / 3); i++)
        {
            await fleet.Servers.StopPostgresAsync(Cancel);
            await fleet.Servers.StartPostgresAsync(Cancel);
            await fleet.MoreAsync(5);
        }
    });

    [Fact]
    public Task Backends_TerminatedOneAfterAnother_LoseNoJob() => UnderAsync("backends terminated one after another", () => ForAsync(
        Size.Fault,
        () => MigratedDatabase.ExecuteAsync(
            fleet.Admin,
            """
            SELECT pg_terminate_backend(pid) FROM (
                SELECT pid FROM pg_stat_activity
                WHERE usename = 'valuecanvas_app' AND datname = current_database() ORDER BY random() LIMIT 1) AS victim
            """)));

    [Fact]
    public Task Connections_UsedUp_LoseNoJob() => UnderAsync("connections used up", async () =>
    {
        await MigratedDatabase.ExecuteAsync(
            fleet.Admin,
            """
            ALTER ROLE valuecanvas_app CONNECTION LIMIT 1;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'valuecanvas_app' AND datname = current_database()
            """);
        try
        {
            await Task.Delay(Size.Fault, TimeProvider.System, Cancel);
        }
        finally
        {
            await MigratedDatabase.ExecuteAsync(fleet.Admin, "ALTER ROLE valuecanvas_app CONNECTION LIMIT -1");
        }
    });

    [Fact]
    public Task Redis_KilledAbsentFromTheStartAndFlushed_IsNotMissed() => UnderAsync("Redis killed, absent at a start, flushed", async () =>
    {
        await KillRedisAsync();
        await fleet.MoreAsync(10);

        // New processes, which have never seen it.
        await fleet.KillApiAsync();
        await fleet.Workers[0].KillAsync();
        await fleet.ReplaceWorkerAsync(0);
        await fleet.ReplaceApiAsync();
        await fleet.MoreAsync(10);
        await fleet.UntilAsync(
            $"SELECT count(*) > 0 FROM llm_jobs WHERE state = 'succeeded' AND worker_id LIKE '%-{fleet.Workers[0].Id}-%'");

        await fleet.Servers.StartRedisAsync(Cancel);
        using var redis = await Infrastructure.RedisConnection.OpenAsync(fleet.Servers.Redis);
        await ForAsync(Size.Fault / 2, () => redis.Database.ExecuteAsync("FLUSHALL").WaitAsync(TimeSpan.FromSeconds(20), Cancel));
    });

    /// <summary>In every run of the tests it is killed while Redis is away.</summary>
    [Fact(Explicit = true)]
    public Task Api_KilledUnderLoad_LosesAndDoublesNoSubmission() => UnderAsync("Api SIGKILL", async () =>
    {
        for (var i = 0; i < Math.Max(1, Size.Times / 2); i++)
        {
            await fleet.KillApiAsync();
            await fleet.ReplaceApiAsync();
            await fleet.MoreAsync(5);
        }
    });

    private async Task UnderAsync(string fault, Func<Task> make)
    {
        // 1. It works.
        await fleet.MoreAsync(5);
        var before = Size.Window is { } window ? await fleet.RateAsync(window) : 0;

        // 2. The fault.
        var madeAt = await fleet.NowAsync();
        var made = Stopwatch.GetTimestamp();
        await make();
        var seconds = Stopwatch.GetElapsedTime(made).TotalSeconds;
        var accepted = fleet.Load.Accepted.ToArray();

        // 3. It works again, as well as before.
        if (Size.Window is { } again)
            await RecoverAsync(fault, seconds, before, madeAt, accepted.Length, again);
        await fleet.MoreAsync(10);

        // 4. Whatever was accepted meanwhile ends, and the history says how.
        await EndAsync([.. accepted.Select(pair => pair.Value).Where(fleet.IsNew)]);
        await CheckAsync(accepted);
    }

    private async Task RecoverAsync(string fault, double seconds, double before, string madeAt, int accepted, TimeSpan window)
    {
        var during = await fleet.RateSinceAsync(madeAt);
        var rescued = await fleet.ScalarAsync<long>($"SELECT count(*) FROM llm_job_events WHERE event = 'rescued' AND at > '{madeAt}'");
        var healed = Stopwatch.GetTimestamp();
        while (await fleet.RateAsync(window / 4) < before * Recovered && Stopwatch.GetElapsedTime(healed) < Settled)
        {
        }

        var back = (Stopwatch.GetElapsedTime(healed) - (window / 4)).TotalSeconds;
        var after = await fleet.RateAsync(window);
        await new ChaosRecord(fault, seconds, before, during, after, Math.Max(0, back), accepted, rescued).KeepAsync(Cancel);
        Assert.True(after >= before * Recovered, $"{before:0.0} jobs/s before, {after:0.0} afterwards.");
    }

    private Task EndAsync(Guid[] jobs) => fleet.UntilAsync(
        $"""
         SELECT count(*) = {jobs.Length} FROM llm_job_results WHERE job_id = ANY ('{$"{{{string.Join(',', jobs)}}}"}'::uuid[])
         """);

    private async Task CheckAsync(KeyValuePair<string, Guid>[] accepted)
    {
        var jobs = accepted.Select(pair => pair.Value).ToArray();
        var found = await JobHistoryChecker.ViolationsAsync(fleet.Admin, jobs);
        // A row that PostgreSQL did not take in time comes from the disk.
        for (var i = 0; i < 200 && (await JobHistoryChecker.ChargeViolationsAsync(fleet.Admin, jobs)).Count > 0; i++)
            await Task.Delay(Pause, TimeProvider.System, Cancel);

        Assert.Empty(found);
        Assert.Empty(await JobHistoryChecker.ChargeViolationsAsync(fleet.Admin, jobs));
        Assert.Null(await fleet.ScalarAsync<string>(ChaosJob.WrongResult));
        Assert.Empty(fleet.Load.Wrong);
        Assert.Empty(await StrayAsync(accepted));
    }

    /// <summary>One job for each key that was sent, and the one that its client was told of.</summary>
    private async Task<List<string>> StrayAsync(KeyValuePair<string, Guid>[] accepted)
    {
        await using var connection = new NpgsqlConnection(fleet.Admin);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand("SELECT id, args->>'prompt' FROM llm_jobs WHERE type = 'chat'", connection);
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        Dictionary<string, Guid> stored = [];
        List<string> found = [];
        while (await reader.ReadAsync(Cancel))
        {
            var (job, key) = (reader.GetGuid(0), await reader.IsDBNullAsync(1, Cancel) ? "" : reader.GetString(1));
            if (fleet.Load.Sent.ContainsKey(key) && !stored.TryAdd(key, job))
                found.Add($"{job} and {stored[key]} came of one key");
        }

        found.AddRange(accepted
            .Where(pair => stored.GetValueOrDefault(pair.Key) != pair.Value).Select(pair => $"{pair.Value} is not its key's"));
        return found;
    }

    private async Task KillRedisAsync()
    {
        using var redis = await Infrastructure.RedisConnection.OpenAsync(fleet.Servers.Redis);
        var told = (string?)await redis.Database.ExecuteAsync("INFO", "server").WaitAsync(TimeSpan.FromSeconds(20), Cancel) ?? "";
        var id = told.Split('\n').First(line => line.StartsWith("process_id:", StringComparison.Ordinal)).Trim()["process_id:".Length..];
        // In a container it has another number: there it is stopped.
        var name = $"/proc/{id}/comm";
        if (File.Exists(name) && (await File.ReadAllTextAsync(name, Cancel)).StartsWith("redis", StringComparison.Ordinal))
            Process.GetProcessById(int.Parse(id, System.Globalization.CultureInfo.InvariantCulture)).Kill();
        else
            await fleet.Servers.StopRedisAsync(Cancel);
    }

    private static async Task ForAsync(TimeSpan time, Func<Task> act)
    {
        for (var startedAt = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(startedAt) < time;)
        {
            await act();
            await Task.Delay(Pause, TimeProvider.System, Cancel);
        }
    }
}
