using System.Text.Json;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

/// <summary>The salt that keeps tenants apart in the servers' prefix caches.</summary>
public sealed class CacheSaltTests
{
    private const string Key = "an-internal-key-of-the-test";
    private const string Body = """{"model":"small-model","messages":[{"role":"user","content":"Hi"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Tenant_Proven_HasASaltOfItsOwn_WhichDoesNotTellItsName()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(replica, "vllm");

        var acme = await SentAsync(proxy, replica, Body, "acme", Key);
        var again = await SentAsync(proxy, replica, Body.Replace("small-model", "default", StringComparison.Ordinal), "acme", Key);
        var other = await SentAsync(proxy, replica, Body, "other", Key);

        var salt = Salt(acme)!;
        Assert.Matches("^[0-9a-f]{32}$", salt);
        Assert.Equal(acme, again); // the model is spliced, too
        Assert.NotEqual(salt, Salt(other));
        Assert.Equal(Body, acme.Replace($"\"cache_salt\":\"{salt}\",", "", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("vllm", Body, "acme", "a-key-that-is-not-the-one")]
    [InlineData("vllm", Body, "", Key)]
    [InlineData("ollama", Body, "acme", Key)]
    [InlineData("vllm", """{"cache_salt":"own","model":"small-model","messages":[]}""", "acme", Key)]
    public async Task Body_WithoutProof_ForAnotherServer_OrWithASaltAlready_StaysAsItIs(string kind, string body, string tenant, string key)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(replica, kind);

        Assert.Equal(body, await SentAsync(proxy, replica, body, tenant, key));
    }

    private static ProxyHost Start(FakeReplica replica, string kind) =>
        ProxyHost.Start(replica, ("Inference:InternalKey", Key), ("Inference:Providers:vllm:Kind", kind));

    private static string? Salt(string body)
    {
        using var json = JsonDocument.Parse(body);
        return json.RootElement.GetProperty("cache_salt").GetString();
    }

    private static async Task<string> SentAsync(ProxyHost proxy, FakeReplica replica, string body, string tenant, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body) };
        request.Headers.Add("x-valuecanvas-internal", key);
        request.Headers.Add("x-valuecanvas-tenant", tenant);
        using var response = await proxy.Client.SendAsync(request, Cancel);
        response.EnsureSuccessStatusCode();
        return replica.Received.Last().Text;
    }
}
