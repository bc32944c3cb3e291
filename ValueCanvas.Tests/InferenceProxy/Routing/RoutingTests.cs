using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

public sealed class RoutingTests
{
    private const string OldNames = """
        # HELP vllm:num_requests_running Number of requests in model execution batches.
        # TYPE vllm:num_requests_running gauge
        vllm:num_requests_running{model_name="small-model"} 12.0
        vllm:num_requests_waiting{model_name="small-model"} 3.0
        vllm:gpu_cache_usage_perc{model_name="small-model"} 0.25
        vllm:num_requests_waiting_by_reason{model_name="small-model",reason="capacity"} 99.0
        """;

    private const string NewNames = """
        vllm:num_requests_running{engine="0",model_name="a } b"} 4.0
        vllm:num_requests_running{engine="1",model_name="a } b"} 5.0
        vllm:num_requests_waiting{engine="0",model_name="a } b"} 0.0
        vllm:num_requests_waiting{engine="1",model_name="a } b"} 2.0
        vllm:kv_cache_usage_perc{engine="0",model_name="a } b"} 0.5
        vllm:kv_cache_usage_perc{engine="1",model_name="a } b"} 7.5e-1
        vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="1000"} 1.0
        vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="1",num_gpu_blocks="1000"} 1.0
        """;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Metrics_OldAndNewNames_AreRead()
    {
        Assert.Equal(new LiveLoad(12, 3, 0.25, 0, 10), Parse(OldNames, own: 5));
        Assert.Equal(new LiveLoad(9, 2, 0.75, 32_000, 0), Parse(NewNames, own: 11));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html>nothing here</html>")]
    [InlineData(
        "vllm:\nvllm:num_requests_running\nvllm:num_requests_running{\nvllm:num_requests_running{} NaN\nvllm:num_requests_waiting x")]
    public void Metrics_OfSomethingElse_AreNone(string text) => Assert.Null(Parse(text, own: 0));

    [Theory]
    [InlineData("prefix-aware")]
    [InlineData("least-load")]
    [InlineData("power-of-two")]
    public async Task Replica_BusyWithOthersRequests_IsAvoided(string policy)
    {
        await using var busy = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var idle = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        busy.Metrics = OldNames;
        idle.Metrics = OldNames.Replace(" 12.0", " 0.0", StringComparison.Ordinal).Replace(" 3.0", " 0.0", StringComparison.Ordinal);
        await using var proxy = Start(policy, busy, idle);
        var replicas = proxy.Services.GetRequiredService<Fleet>().Current.Replicas;
        await ProxyHost.UntilAsync(
            () => Task.FromResult(replicas[0].Load.Live is { Foreign: 15 } && replicas[1].Load.Live is { Foreign: 0 }));

        await AskAsync(proxy, 6, _ => """{"model":"default"}""");

        Assert.Empty(busy.Received);
        Assert.Equal(6, idle.Received.Count);
    }

    [Fact]
    public async Task Replica_WithoutMetrics_IsAskedOnce()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var other = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        other.Metrics = NewNames;
        await using var proxy = Start("least-load", replica, other);

        await ProxyHost.UntilAsync(() => Task.FromResult(other.MetricsAsked > 5));

        Assert.Equal(1, replica.MetricsAsked);
    }

    [Fact]
    public async Task RoundRobin_TakesTurns()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        one.Metrics = OldNames; // busy, and round robin does not look
        await using var proxy = Start("round-robin", one, two);

        await AskAsync(proxy, 10, _ => """{"model":"default"}""");

        Assert.Equal((5, 5), (one.Received.Count, two.Received.Count));
    }

    [Fact]
    public async Task PrefixAware_ConversationsStayWhereTheyAre_AndAreSpread()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start("prefix-aware", one, two);
        var histories = Enumerable.Range(0, 6).Select(i => new StringBuilder(new Random(i).GetString("abcdefghijk ", 2000))).ToArray();
        for (var turn = 0; turn < 5; turn++)
        {
            await AskAsync(proxy, histories.Length, i => JsonSerializer.Serialize(
                new { model = "default", messages = new[] { new { role = "user", content = histories[i]
                    .Append(" And then?").ToString() } } }));
        }

        var (here, there) = (Conversations(one), Conversations(two));
        Assert.Equal(6, here.Count + there.Count); // none was at both
        Assert.All([here.Count, there.Count], count => Assert.InRange(count, 2, 4));

        static HashSet<string> Conversations(FakeReplica replica) =>
            [.. replica.Received.Select(
                r => JsonDocument.Parse(r.Body).RootElement.GetProperty("messages")[0].GetProperty("content").GetString()![..100])];
    }

    [Theory]
    [InlineData("Inference:Routing:Policy", "best")]
    [InlineData("Inference:Routing:MetricsInterval", "00:00:00")]
    [InlineData("Inference:Routing:MaxPrefixBlocks", "0")]
    [InlineData("Inference:Routing:StickyShare", "1.5")]
    [InlineData("Inference:Routing:StickyBacklogTokens", "-1")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKey(string key, string value) =>
        Assert.Contains(key, Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], (key, value))).Message);

    private static ProxyHost Start(string policy, params FakeReplica[] replicas) => ProxyHost.Start(
        replicas.Select(r => r.Address), ("Inference:Routing:Policy", policy), ("Inference:Routing:MetricsInterval", "00:00:00.05"));

    private static async Task AskAsync(ProxyHost proxy, int times, Func<int, string> body)
    {
        for (var i = 0; i < times; i++)
        {
            using var response = await proxy.PostAsync(body(i));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await response.Content.ReadAsStringAsync(Cancel);
        }
    }

    private static LiveLoad? Parse(string text, int own)
    {
        var metrics = default(VllmMetrics);
        foreach (var line in text.Split('\n'))
            metrics.Line(Encoding.UTF8.GetBytes(line));

        return metrics.ToLoad(own);
    }
}
