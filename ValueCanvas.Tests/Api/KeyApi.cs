using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api;

/// <summary>One Api and one database for all tests of a class; the strangers among them are as many as they like.</summary>
public sealed class KeyApi(ServersFixture servers) : IAsyncLifetime
{
    public KeyDatabase Database { get; } = new(servers);

    internal ApiHost Api { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Database.InitializeAsync();
        Api = new ApiHost(database: Database.App, cache: Database.Redis, settings: ("RateLimiting:Policies:strangers:Enabled", "false"));
    }

    public ValueTask DisposeAsync() => Api.DisposeAsync();
}
