using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>Api and workers as processes, on servers of their own, under a load that never ends.</summary>
public sealed class ChaosFleet : IAsyncLifetime
{
    /// <summary>As few as a worker has, so that they can be used up.</summary>
    internal const int ApiConnections = 8;

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly ChaosSize _size = ChaosSize.Current;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Guid> _looked = [];
    private ServiceProcess? _api;
    private Task _watching = Task.CompletedTask;
    private volatile int _waiting;

    internal Servers Servers { get; private set; } = null!;

    internal ChaosDatabase Database { get; private set; } = null!;

    internal ChaosModels Models { get; private set; } = null!;

    internal ChaosWorkers Workers { get; private set; } = null!;

    internal ChaosLoad Load { get; private set; } = null!;

    internal Uri Api => _api!.Address;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Servers = await Servers.StartAsync(Cancel);
        Database = await ChaosDatabase.CreateAsync(Servers);
        Models = await ChaosModels.StartAsync(_size);
        Workers = new ChaosWorkers(_size, Database.App, Servers.Redis, Models.Address);
        Workers.Start();
        await ReplaceApiAsync();
        _watching = Task.Run(WatchAsync, Cancel);
        Load = new ChaosLoad(() => Api, () => _waiting < _size.Backlog);
        await Database.MoreAsync(_size.Warm);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        if (Load is not null)
            await Load.DisposeAsync();
        if (Workers is not null)
            await Workers.DisposeAsync();
        if (_api is not null)
            await _api.DisposeAsync();
        if (Models is not null)
            await Models.DisposeAsync();
        if (Servers is not null)
            await Servers.DisposeAsync();
        _stop.Dispose();
    }

    internal async Task KillApiAsync()
    {
        await _api!.KillAsync();
        await _api.DisposeAsync();
    }

    internal async Task ReplaceApiAsync() => _api = await StartApiAsync(Database.App);

    /// <summary>One more Api, which is the test's to dispose.</summary>
    internal Task<ServiceProcess> StartApiAsync(string database) => ServiceProcess.StartApiAsync(
        ("ConnectionStrings:valuecanvas", $"{database};Pooling=true;Maximum Pool Size={ApiConnections}"),
        ("ConnectionStrings:cache", Servers.Redis),
        ("services:inference:http:0", Models.Address), ("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"),
        ("Inference:InternalKey", ChaosModels.InternalKey),
        ("VALUECANVAS_BOOTSTRAP_EMAIL", ApiHost.OperatorEmail), ("VALUECANVAS_BOOTSTRAP_PASSWORD", ApiHost.OperatorPassword),
        ("VALUECANVAS_BOOTSTRAP_API_KEY", ApiHost.Key), ("Usage:Directory", Workers.Books), ("RateLimiting:Enabled", "false"));

    /// <summary>Nobody has waited for the end of that job before.</summary>
    internal bool IsNew(Guid job) => _looked.Add(job);

    private async Task WatchAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = new NpgsqlConnection(Database.Admin);
                await connection.OpenAsync(_stop.Token);
                await using var command = new NpgsqlCommand($"SELECT count(*)::integer {ChaosDatabase.Due}", connection);
                while (true)
                {
                    _waiting = (int)(await command.ExecuteScalarAsync(_stop.Token))!;
                    await Task.Delay(Poll, TimeProvider.System, _stop.Token);
                }
            }
            catch (Exception e) when (
                e is NpgsqlException or TimeoutException or IOException or OperationCanceledException || DatabaseErrors.IsUnavailable(e))
            {
                // Nobody answers: the clients go on with what they know.
                await Task.Delay(Poll, TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
