using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>Which pages of other origins a browser lets read the answers.</summary>
public sealed class CrossOriginTests(OriginsApi origins) : IClassFixture<OriginsApi>
{
    private readonly ApiHost _api = origins.Host;

    [Theory]
    [InlineData("https://app.example.com", true)]
    [InlineData("http://localhost:3000", true)]
    [InlineData("http://app.example.com", false)]
    [InlineData("https://app.example.com.evil.example", false)]
    [InlineData("https://evil-app.example.com", false)]
    [InlineData("https://app.example.com:8443", false)]
    [InlineData("null", false)]
    public async Task Answer_ToAnOrigin_IsReadableByTheListedOnesAlone(string origin, bool allowed)
    {
        using var response = await SendAsync(HttpMethod.Get, "/api/nothing", origin);

        Assert.Equal(allowed ? origin : null, Header(response, "Access-Control-Allow-Origin"));
        Assert.Equal(allowed ? "true" : null, Header(response, "Access-Control-Allow-Credentials"));
        Assert.Contains("Origin", Header(response, "Vary"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://app.example.com", true)]
    [InlineData("https://evil.example", false)]
    public async Task Preflight_WithNoKeyAndNoDatabase_IsAnsweredAtOnce(string origin, bool allowed)
    {
        using var client = new HttpClient { BaseAddress = _api.Address, Timeout = TimeSpan.FromSeconds(20) };
        using var request = new HttpRequestMessage(HttpMethod.Options, "/api/canvas/generate");
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "authorization,content-type");
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal(allowed ? origin : null, Header(response, "Access-Control-Allow-Origin"));
        Assert.Equal(allowed ? "600" : null, Header(response, "Access-Control-Max-Age"));
        Assert.DoesNotContain("*", string.Join(' ', response.Headers.SelectMany(header => header.Value)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Protection:AllowedOrigins:0", "*")]
    [InlineData("Protection:AllowedOrigins:0", "https://*.example.com")]
    [InlineData("Protection:AllowedOrigins:0", "https://app.example.com/")]
    [InlineData("Protection:AllowedOrigins:0", "https://App.example.com")]
    [InlineData("Protection:AllowedOrigins:0", "https://app.example.com:443")]
    [InlineData("Protection:AllowedOrigins:0", "app.example.com")]
    [InlineData("Protection:KnownProxies:0", "10.0.0.0/33")]
    [InlineData("Protection:KnownProxies:0", "proxy.example.com")]
    [InlineData("Protection:AdminNetworks:0", "everywhere")]
    public void Option_ThatMakesNoSense_StopsTheStartWithItsName(string key, string value)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new(key, value)]).Build());
        services.AddProtection();
        using var provider = services.BuildServiceProvider();

        // What the host asks before it starts.
        var refused = Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IStartupValidator>().Validate());

        Assert.Contains(key, refused.Message, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string origin)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Add("Origin", origin);
        return await _api.Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;
}
