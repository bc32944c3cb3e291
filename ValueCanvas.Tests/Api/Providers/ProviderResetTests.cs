using System.Net;
using System.Text;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Api.Providers;

/// <summary>An operator resets breakers through the Api; the proxies are real and meet at Redis.</summary>
public sealed class ProviderResetTests(ProviderResetTests.Proxies proxies) : IClassFixture<ProviderResetTests.Proxies>
{
    private readonly ProxyHost _asked = proxies.Asked;
    private readonly ProxyHost _other = proxies.Other;
    private readonly ApiHost _api = proxies.Api;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Reset_WithoutABody_ClosesEveryBreakerAtEveryProxy()
    {
        var replica = (await _asked.ReplicaAsync(0)).GetProperty("name").GetString();
        // A breaker comes to be with the first request.
        using (var chat = await _api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}"""))
            Assert.Equal(HttpStatusCode.OK, chat.StatusCode);
        await _asked.OperateAsync($"{replica}/open");
        await ProxyHost.UntilAsync(async () => await StateAsync(_asked) == "forced_open");
        using (var refused = await _api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}"""))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        // The Api asks one proxy or the other, and that one follows within a second.
        await ProxyHost.UntilAsync(async () => (await ApiHost.JsonAsync(await _api.GetAsync("/api/llm/stats")))
            .GetProperty("data").GetProperty("vllm").GetProperty("state").GetString() == "open");

        // As printed by curl -X POST: no body, no type. Where Redis is late, as on a busy machine, an operator is told so, and repeats it.
        await ProxyHost.UntilAsync(async () =>
        {
            using var response = await _api.Client.PostAsync("/api/llm/reset", null, Cancellation);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var data = (await ApiHost.JsonAsync(response)).GetProperty("data");
            Assert.Equal(replica, Assert.Single(data.GetProperty("reset").EnumerateArray()).GetString());
            return data.GetProperty("scope").GetString() == "all proxies";
        });
        Assert.Equal("closed", await StateAsync(_asked));
        await ProxyHost.UntilAsync(async () => await StateAsync(_other) is "closed" or null);
        using var chats = await _api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}""");
        Assert.Equal(HttpStatusCode.OK, chats.StatusCode);
    }

    [Theory]
    [InlineData("""{"provider":"vllm"}""", 200)]
    [InlineData("""{"provider":"vllm","model":"meta-llama/Llama-3.1-8B-Instruct"}""", 200)]
    [InlineData("""{"provider":"nobody"}""", 404)]
    [InlineData("""{"model":"nobody/nothing"}""", 404)]
    [InlineData("""{"provider":7}""", 400)]
    [InlineData("{", 400)]
    public async Task Reset_OfOne_NamesWhatThereIs(string body, int status)
    {
        using var response = await _api.PostAsync("/api/llm/reset", Encoding.UTF8.GetBytes(body), type: null);

        Assert.Equal(status, (int)response.StatusCode);
        if (status != 200)
            await ApiHost.ProblemAsync(response, status);
    }

    [Fact]
    public async Task Reset_WithAnotherKeyThanTheProxys_SaysWhatToSet()
    {
        var address = _asked.Client.BaseAddress!.ToString().TrimEnd('/');
        await using var without = new ApiHost(address);
        await using var wrong = new ApiHost(address, settings: ("Inference:OperatorKey", "another-key-than-the-proxys"));
        foreach (var api in new[] { without, wrong })
        {
            var problem = await ApiHost.ProblemAsync(await api.Client.PostAsync("/api/llm/reset", null, Cancellation), 503);
            Assert.Contains("Inference:OperatorKey", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.DoesNotContain("another-key", problem.GetRawText(), StringComparison.Ordinal);
        }
    }

    private static async Task<string?> StateAsync(ProxyHost proxy) =>
        (await proxy.ReplicaAsync(0)).GetProperty("breakers").EnumerateArray().Select(breaker => breaker.GetProperty("state").GetString())
        .FirstOrDefault();

    public sealed class Proxies(ServersFixture servers) : IAsyncLifetime
    {
        private readonly SimulatorServer _simulator = SimulatorServer.Start();

        internal ProxyHost Asked { get; private set; } = null!;

        internal ProxyHost Other { get; private set; } = null!;

        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            (Asked, Other) = (Proxy(), Proxy());
            Api = new ApiHost(
                Asked.Client.BaseAddress!.ToString().TrimEnd('/'), settings: ("Inference:OperatorKey", ProxyHost.OperatorKey));
            foreach (var proxy in new[] { Asked, Other })
                await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("state").GetString() == "up");
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Other.DisposeAsync();
            await Asked.DisposeAsync();
            _simulator.Dispose();
        }

        private ProxyHost Proxy() => ProxyHost.Start(
            [_simulator.Address.OriginalString],
            ("Inference:DefaultModel", SimulatorServer.Model), ("ConnectionStrings:cache", servers.Redis));
    }
}
