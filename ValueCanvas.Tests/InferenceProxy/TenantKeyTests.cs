using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>A tenant's own keys of providers, which a proven caller sends along.</summary>
public sealed class TenantKeyTests
{
    private const string Internal = "an-internal-key-of-the-test";
    private const string Ours = "key-of-the-house-0123456789";
    private const string Theirs = "key-of-the-tenant-987654321";
    private const string Ask = """{"model":"big","messages":[{"role":"user","content":"Hi"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("openai", "Authorization", "Bearer " + Theirs)]
    [InlineData("anthropic", "x-api-key", Theirs)]
    public async Task TenantsKey_GoesToItsProvider_InPlaceOfOurs(string kind, string header, string expected)
    {
        await using var provider = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start([(kind, provider.Address)]);

        using var response = await AskAsync(proxy, (kind, Theirs));

        var received = Assert.Single(provider.Received);
        Assert.Equal(expected, received.Headers[header]);
        Assert.DoesNotContain(received.Headers.Keys, name => name.StartsWith("x-valuecanvas-", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain(Ours, string.Concat(received.Headers.Values));
    }

    [Fact]
    public async Task TenantsKey_WithoutProofOfTheCaller_CountsForNothing()
    {
        await using var provider = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start([("openai", provider.Address)]);
        using var request = Request(("openai", Theirs));
        request.Headers.Remove("x-valuecanvas-internal");

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal($"Bearer {Ours}", Assert.Single(provider.Received).Headers["Authorization"]);
    }

    [Fact]
    public async Task TenantsKey_OfOneProvider_IsNeverSentToTheNext()
    {
        await using var first = await FakeReplica.StartAsync(context => RefuseAsync(context, 500));
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start([("openai", first.Address), ("together", second.Address)]);

        using var response = await AskAsync(proxy, ("openai", Theirs));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"Bearer {Theirs}", Assert.Single(first.Received).Headers["Authorization"]);
        Assert.Equal($"Bearer {Ours}", Assert.Single(second.Received).Headers["Authorization"]);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(402)]
    [InlineData(403)]
    [InlineData(429)]
    public async Task TenantsKey_Refused_IsToldAsTheirs_AndDisablesNothingOfOurs(int status)
    {
        await using var provider = await FakeReplica.StartAsync(context => context.Request.Headers.Authorization == $"Bearer {Theirs}"
            ? RefuseAsync(context, status, status == 429 ? "insufficient_quota" : "invalid_api_key") : FakeReplica.AnswerAsync(context));
        await using var proxy = Start([("openai", provider.Address)]);

        for (var i = 0; i < 4; i++) // more than open a breaker
        {
            using var refused = await AskAsync(proxy, ("openai", Theirs));
            Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
            var error = await refused.ErrorAsync();
            Assert.Equal("provider_key_refused", error.GetProperty("code").GetString());
            Assert.Contains("'openai'", error.GetProperty("message").GetString());
        }

        using var other = await AskAsync(proxy);
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        Assert.Equal(4, provider.Received.Count(request => request.Headers["Authorization"] == $"Bearer {Theirs}")); // once for each
        var shown = await proxy.Client.GetStringAsync("/providers", Cancel);
        Assert.DoesNotContain(Theirs, shown);
        Assert.Equal("closed", (await proxy.ReplicaAsync(0)).GetProperty("breakers")[0].GetProperty("state").GetString());
    }

    [Fact]
    public async Task TenantsKey_RateLimited_CoolsNothingForOthers()
    {
        await using var provider = await FakeReplica.StartAsync(context => context.Request.Headers.Authorization == $"Bearer {Theirs}"
            ? RefuseAsync(context, 429) : FakeReplica.AnswerAsync(context));
        await using var proxy = Start([("openai", provider.Address)]);

        using var limited = await AskAsync(proxy, ("openai", Theirs));
        using var other = await AskAsync(proxy);

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.OK), (limited.StatusCode, other.StatusCode));
    }

    [Fact]
    public async Task TenantsKey_Works_WhereAllOfOursAreRefused()
    {
        await using var provider = await FakeReplica.StartAsync(context => context.Request.Headers.Authorization == $"Bearer {Theirs}"
            ? FakeReplica.AnswerAsync(context) : RefuseAsync(context, 401));
        await using var proxy = Start([("openai", provider.Address)]);

        using var ours = await AskAsync(proxy);
        using var theirs = await AskAsync(proxy, ("openai", Theirs));

        Assert.Equal("upstream_credentials_exhausted", (await ours.ErrorAsync()).GetProperty("code").GetString());
        Assert.Equal(HttpStatusCode.OK, theirs.StatusCode);
    }

    [Fact]
    public async Task TenantsKey_Used_AndRefused_StandsInNoLog()
    {
        var log = new LogQueue();
        await using var provider = await FakeReplica.StartAsync(context => RefuseAsync(context, 401));
        await using var proxy = Start(
            [("openai", provider.Address)], services => services.AddSingleton<ILoggerProvider>(log), ("LOG_LEVEL", "Trace"));

        using var refused = await AskAsync(proxy, ("openai", Theirs));

        Assert.Contains(log.Lines, line => line.Contains("refused the key of a tenant", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains(Theirs, StringComparison.Ordinal));
    }

    private static ProxyHost Start(
        (string Kind, string Address)[] providers, Action<IServiceCollection>? services = null, params (string, string)[] settings) =>
        ProxyHost.Start(services ?? (_ => { }), [],
        [
            ("Inference:InternalKey", Internal),
            .. providers.SelectMany((provider, i) => new[]
            {
                ($"Inference:Providers:{provider.Kind}:Endpoints:0", provider.Address),
                ($"Inference:Providers:{provider.Kind}:ApiKeys:0", Ours),
                ($"Inference:Models:big:Targets:{i}", $"{provider.Kind}/big-one"),
            }),
            .. settings,
        ]);

    private static Task<HttpResponseMessage> AskAsync(ProxyHost proxy, params (string Provider, string Key)[] keys) =>
        proxy.Client.SendAsync(Request(keys), Cancel);

    private static HttpRequestMessage Request(params (string Provider, string Key)[] keys)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Ask) };
        request.Headers.Add("x-valuecanvas-internal", Internal);
        request.Headers.Add("x-valuecanvas-tenant", "acme");
        foreach (var (provider, key) in keys)
            request.Headers.Add($"x-valuecanvas-key-{provider}", key);

        return request;
    }

    private static Task RefuseAsync(HttpContext context, int status, string code = "no")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(
            $$$"""{"error":{"message":"no","type":"x","param":null,"code":"{{{code}}}"}}""", context.RequestAborted);
    }
}
