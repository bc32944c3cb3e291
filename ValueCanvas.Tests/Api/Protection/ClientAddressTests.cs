using System.Net;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Protection;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>
/// Whose address a request has: that of the connection, unless a known proxy says another. Seen in the audit log's sources.
/// </summary>
public sealed class ClientAddressTests(ServersFixture servers) : IAsyncLifetime
{
    // As Aspire starts the service: by itself the host would now believe everybody.
    private static readonly (string, string) BelieveEverybody = ("FORWARDEDHEADERS_ENABLED", "true");

    private readonly MigratedDatabase _database = new(servers);

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Theory]
    [InlineData(null, "203.0.113.9", "127.0.0.1")]
    [InlineData("10.0.0.0/8", "203.0.113.9", "127.0.0.1")]
    [InlineData("127.0.0.1", "203.0.113.9", "203.0.113.9")]
    [InlineData("127.0.0.0/8", "198.51.100.66, 203.0.113.9", "203.0.113.9")]
    [InlineData("127.0.0.1", "10.0.0.5, 203.0.113.9", "203.0.113.9")]
    [InlineData("127.0.0.1,10.0.0.0/8", "203.0.113.9, 10.0.0.5", "203.0.113.9")]
    [InlineData("127.0.0.1", "not an address", "127.0.0.1")]
    [InlineData("127.0.0.1", "2001:db8::1", "2001:db8::2")]
    public async Task ForwardedFor_OfWhomever_CountsFromKnownProxiesAlone(string? known, string forwarded, string expected)
    {
        await using var api = new ApiHost(database: _database.App, cache: _database.Redis, settings: [BelieveEverybody, .. Known(known)]);
        using var request = new HttpRequestMessage(HttpMethod.Trace, "/");
        request.Headers.TryAddWithoutValidation("X-Forwarded-For", forwarded);

        using var refused = await api.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, refused.StatusCode);
        string? source = null;
        await ProxyHost.UntilAsync(async () =>
        {
            source = await _database.ScalarAsync<string>("SELECT coalesce(max(source), '') FROM audit_log WHERE event = 'request.refused'");
            return source != "";
        });
        Assert.Equal(Source(expected), source);
    }

    [Theory]
    [InlineData(null, "https", false)]
    [InlineData("10.0.0.0/8", "https", false)]
    [InlineData("127.0.0.1", "https", true)]
    [InlineData("127.0.0.1", null, false)]
    public async Task ForwardedProto_OfWhomever_CountsFromKnownProxiesAlone(string? known, string? proto, bool https)
    {
        await using var api = new ApiHost(settings: [BelieveEverybody, .. Known(known)]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health/live") { Headers = { Host = "api.example.com" } };
        if (proto is not null)
            request.Headers.Add("X-Forwarded-Proto", proto);

        using var response = await api.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(https, response.Headers.Contains("Strict-Transport-Security"));
    }

    [Theory]
    [InlineData("/anything?a=b", false, 308, "https://api.example.com/anything?a=b")]
    [InlineData("/api/canvas", true, 403, null)]
    public async Task PlainHttp_BehindAKnownProxy_IsRedirectedForPagesAndRefusedForKeys(string path, bool key, int status, string? location)
    {
        await using var api = new ApiHost(settings: [.. Known("127.0.0.1")]);
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { BaseAddress = api.Address, Timeout = TimeSpan.FromSeconds(20) };
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Host = "api.example.com" } };
        request.Headers.Add("X-Forwarded-Proto", "http");
        if (key)
            request.Headers.Authorization = new("Bearer", "vck_any");

        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(location, response.Headers.Location?.ToString());
    }

    [Fact]
    public void Source_OfOneNetwork_IsTheSameAndOfAnotherIsNot()
    {
        Assert.Equal(Source("203.0.113.9"), Source("::ffff:203.0.113.9"));
        Assert.NotEqual(Source("203.0.113.9"), Source("203.0.113.10"));
        Assert.Equal(Source("2001:db8:1:2::3"), Source("2001:db8:1:2:ffff::"));
        Assert.NotEqual(Source("2001:db8:1:2::3"), Source("2001:db8:1:3::3"));
    }

    private static string Source(string address) => new ClientSource(
        new SecretBox(Options.Create(new SecretOptions { SecretKey = "a-secret-of-tests-that-is-long-enough" })))
        .Of(IPAddress.Parse(address));

    private static IEnumerable<(string, string)> Known(string? proxies) =>
        (proxies?.Split(',') ?? []).Select((proxy, i) => ($"Protection:KnownProxies:{i}", proxy));
}
