using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>Tests of the queue, each with a database of its own: a claim takes whatever is due.</summary>
public abstract class QueueTests : IAsyncLifetime
{
    private protected readonly MigratedDatabase _database;
    private protected IHost _host = null!;

    protected QueueTests(ServersFixture servers) => _database = new(servers);

    private protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private protected JobLeases Leases => _host.Services.GetRequiredService<JobLeases>();

    private protected JobStore Store => _host.Services.GetRequiredService<JobStore>();

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _host = _database.Services();
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await _database.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
