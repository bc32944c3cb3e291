using System.Diagnostics;
using Npgsql;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;

namespace ValueCanvas.Tests.Chaos;

/// <summary>
/// Api and workers as processes, on servers of their own, under a load that never ends. Whoever kills something puts another in its place,
/// as an orchestrator would.
/// </summary>
public sealed class ChaosFleet : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly ChaosSize _size = ChaosSize.Current;
    private readonly string _books = UsageHost.NewDirectory();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<WorkerProcess> _workers = [];
    private readonly HashSet<Guid> _looked = [];
    private FakeInference _inference = null!;
    private ServiceProcess _api = null!;
    private Task _watching = Task.CompletedTask;
    private volatile int _waiting;

    public Servers Servers { get; private set; } = null!;

    /// <summary>As superuser; not pooled, so it knows no connection from before a restart.</summary>
    public string Admin { get; private set; } = "";

    /// <summary>As Api and Worker connect.</summary>
    public string App { get; private set; } = "";

    internal ChaosLoad Load { get; private set; } = null!;

    internal IReadOnlyList<WorkerProcess> Workers => _workers;

    internal Uri Api => _api.Address;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Servers = await Servers.StartAsync(Cancel);
        var database = await Servers.CreateDatabaseAsync("chaos", Cancel);
        Admin = new NpgsqlConnectionStringBuilder(database) { Pooling = false }.ConnectionString;
        App = await ApiDatabase.MigrateAsync(database);
        _inference = await FakeInference.StartAsync();
        _inference.Answer = context => ChaosJob.AnswerAsync(context, _size.Pace);
        for (var i = 0; i < _size.Workers; i++)
            _workers.Add(StartWorker());
        _api = await StartApiAsync();
        _watching = Task.Run(WatchAsync, Cancel);
        Load = new ChaosLoad(() => Api, () => _waiting < _size.Backlog);
        await MoreAsync(1);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        if (Load is not null)
            await Load.DisposeAsync();
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        if (_api is not null)
            await _api.DisposeAsync();
        if (_inference is not null)
            await _inference.DisposeAsync();
        if (Servers is not null)
            await Servers.DisposeAsync();
        _stop.Dispose();
    }

    /// <summary>Another worker for one that was killed.</summary>
    internal async Task ReplaceWorkerAsync(int index)
    {
        await _workers[index].DisposeAsync();
        _workers[index] = StartWorker();
    }

    internal async Task KillApiAsync()
    {
        await _api.KillAsync();
        await _api.DisposeAsync();
    }

    internal async Task ReplaceApiAsync() => _api = await StartApiAsync();

    /// <summary>One more Api, which is the test's to dispose.</summary>
    internal Task<ServiceProcess> StartApiAsync(string? database = null) => ServiceProcess.StartApiAsync(
        ("ConnectionStrings:valuecanvas", database ?? App), ("ConnectionStrings:cache", Servers.Redis),
        ("services:inference:http:0", _inference.Address), ("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"),
        ("VALUECANVAS_BOOTSTRAP_EMAIL", ApiHost.OperatorEmail), ("VALUECANVAS_BOOTSTRAP_PASSWORD", ApiHost.OperatorPassword),
        ("VALUECANVAS_BOOTSTRAP_API_KEY", ApiHost.Key), ("Usage:Directory", _books), ("RateLimiting:Enabled", "false"));

    /// <summary>Nobody has waited for the end of that job before.</summary>
    public bool IsNew(Guid job) => _looked.Add(job);

    /// <summary>Waits until so many more jobs have succeeded.</summary>
    public async Task MoreAsync(int jobs)
    {
        var before = await ScalarAsync<long>("SELECT count(*) FROM llm_job_results");
        await UntilAsync($"SELECT count(*) >= {before + jobs} FROM llm_job_results");
    }

    /// <summary>Jobs that succeeded a second, by the history.</summary>
    public async Task<double> RateAsync(TimeSpan window)
    {
        var from = await NowAsync();
        await Task.Delay(window, TimeProvider.System, Cancel);
        return await RateSinceAsync(from);
    }

    public Task<double> RateSinceAsync(string from) => ScalarAsync<double>(
        $"""
         SELECT count(*) / extract(epoch FROM now() - '{from}'::timestamptz)::float8 FROM llm_job_events
         WHERE event = 'succeeded' AND at > '{from}' AND at <= now()
         """);

    /// <summary>The database's time, as it writes it.</summary>
    public Task<string> NowAsync() => ScalarAsync<string>("SELECT clock_timestamp()::text");

    /// <summary>Waits for a yes, also through a time in which nobody answers.</summary>
    public async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        while (!await TryAsync(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
            {
                var states = await ScalarAsync<string>(
                    "SELECT string_agg(s.state || ' ' || s.jobs, ', ') FROM (SELECT state, count(*) AS jobs FROM llm_jobs GROUP BY 1) AS s");
                Assert.Fail($"{sql}: {states}");
            }

            await Task.Delay(Poll, TimeProvider.System, Cancel);
        }
    }

    public async Task<T> ScalarAsync<T>(string sql, string? connectionString = null)
    {
        await using var connection = new NpgsqlConnection(connectionString ?? Admin);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancel) is T value ? value : default!;
    }

    private async Task<bool> TryAsync(string sql)
    {
        try
        {
            return await ScalarAsync<bool>(sql);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
        {
            return false;
        }
    }

    private WorkerProcess StartWorker() => WorkerProcess.Start(
        App, Servers.Redis, _inference.Address,
        [
            .. _size.Leases, ("Worker:Concurrency", "4"), ("Worker:MaxCrashes", "50"), ("Usage:Directory", _books),
            ("Usage:Prices:0:Model", "*"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
        ]);

    private async Task WatchAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = new NpgsqlConnection(Admin);
                await connection.OpenAsync(_stop.Token);
                await using var command = new NpgsqlCommand(
                    "SELECT count(*)::integer FROM llm_jobs WHERE state IN ('queued', 'retryable')", connection);
                while (true)
                {
                    _waiting = (int)(await command.ExecuteScalarAsync(_stop.Token))!;
                    await Task.Delay(Poll, TimeProvider.System, _stop.Token);
                }
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException or OperationCanceledException)
            {
                // Nobody answers: the clients go on with what they know.
                await Task.Delay(Poll, TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
