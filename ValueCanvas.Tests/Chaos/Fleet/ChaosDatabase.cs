using System.Diagnostics;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>The fleet's database: what is in it, and when. It pools no connections, so it knows none from before a restart.</summary>
internal sealed class ChaosDatabase
{
    /// <summary>Jobs that a worker could start now: not those that were put off.</summary>
    public const string Due = "FROM llm_jobs WHERE state IN ('queued', 'retryable') AND run_at <= clock_timestamp()";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private ChaosDatabase(string admin, string app) => (Admin, App) = (admin, app);

    /// <summary>As superuser.</summary>
    public string Admin { get; }

    /// <summary>As Api and Worker connect.</summary>
    public string App { get; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<ChaosDatabase> CreateAsync(Infrastructure.Servers servers)
    {
        var database = await servers.CreateDatabaseAsync("chaos", Cancel);
        return new ChaosDatabase(
            new NpgsqlConnectionStringBuilder(database) { Pooling = false }.ConnectionString, await ApiDatabase.MigrateAsync(database));
    }

    public Task ExecuteAsync(string sql) => MigratedDatabase.ExecuteAsync(Admin, sql);

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection(Admin);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancel) is T value ? value : default!;
    }

    /// <summary>Its time, as it writes it.</summary>
    public Task<string> NowAsync() => ScalarAsync<string>("SELECT clock_timestamp()::text");

    /// <summary>Waits until so many more jobs have succeeded.</summary>
    public async Task MoreAsync(int jobs)
    {
        var before = await ScalarAsync<long>("SELECT count(*) FROM llm_job_results");
        await UntilAsync($"SELECT count(*) >= {before + jobs} FROM llm_job_results");
    }

    /// <summary>Waits for a yes, also through a time in which nobody answers.</summary>
    public async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        while (!await TryAsync(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
            {
                var states = await ScalarAsync<string>(
                    "SELECT string_agg(s.state || ' ' || s.n, ', ') FROM (SELECT state, count(*) AS n FROM llm_jobs GROUP BY 1) AS s");
                Assert.Fail($"{sql}: {states}");
            }

            await Task.Delay(Poll, TimeProvider.System, Cancel);
        }
    }

    private async Task<bool> TryAsync(string sql)
    {
        try
        {
            return await ScalarAsync<bool>(sql);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException || DatabaseErrors.IsUnavailable(e))
        {
            return false;
        }
    }
}
