using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.ApiKeys;

/// <summary>The Api on a database of its own, for all tests of a class: each makes people and keys of its own.</summary>
public sealed class KeyApi(ServersFixture servers) : IAsyncLifetime
{
    public KeyDatabase Database { get; } = new(servers);

    internal ApiHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Database.InitializeAsync();
        // All strangers of the class share an address.
        Host = new ApiHost(database: Database.App, cache: Database.Redis, settings: ("RateLimiting:Policies:strangers:Enabled", "false"));
    }

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
