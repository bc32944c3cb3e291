using System.Diagnostics;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class LoadTests
{
    private static object Endless(int priority = 0) =>
        new { messages = SimulatorServer.User("Go on and on."), stream = true, ignore_eos = true, max_tokens = 5_000, priority };

    [Fact]
    public async Task Disconnect_MidStream_FreesTheSlotForWhoeverWaits()
    {
        using var server = SimulatorServer.Start(("ZeroDelay", "false"), ("MaxNumSeqs", "1"));
        using var leave = new CancellationTokenSource();
        using var first = await server.SendAsync("/v1/chat/completions", Endless(), until: HttpCompletionOption.ResponseHeadersRead,
            leave: leave);
        var stream = await first.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        Assert.True(await stream.ReadAsync(new byte[16], TestContext.Current.CancellationToken) > 0);
        var second = server.ChatAsync(new { messages = SimulatorServer.User("Hi"), max_tokens = 2 });
        await server.WaitForMetricAsync("vllm:num_requests_waiting", value => value == 1);
        Assert.Equal(1, await server.MetricAsync("vllm:num_requests_running"));
        Assert.True(await server.MetricAsync("vllm:kv_cache_usage_perc") > 0);

        first.Dispose();

        var answer = await second.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        await server.WaitForMetricAsync("vllm:num_requests_running", value => value == 0);
        Assert.Equal(1, await server.MetricAsync("vllm:request_success_total", "\"abort\""));
        Assert.Equal(0, await server.MetricAsync("vllm:kv_cache_usage_perc"));
    }

    [Fact]
    public async Task Disconnect_WhileWaiting_LeavesTheQueue()
    {
        using var server = SimulatorServer.Start(("ZeroDelay", "false"), ("MaxNumSeqs", "1"));
        using var first = await server.SendAsync("/v1/chat/completions", Endless(), until: HttpCompletionOption.ResponseHeadersRead);
        await server.WaitForMetricAsync("vllm:num_requests_running", value => value == 1);
        using var leave = new CancellationTokenSource();
        var waiting = server.SendAsync("/v1/chat/completions", new { messages = SimulatorServer.User("Hi") }, leave: leave);
        await server.WaitForMetricAsync("vllm:num_requests_waiting", value => value == 1);

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await server.WaitForMetricAsync("vllm:num_requests_waiting", value => value == 0);
    }

    [Fact]
    public async Task Pace_OneStream_IsThatOfTheProfile()
    {
        using var server = SimulatorServer.Start(("ZeroDelay", "false"));
        var clock = Stopwatch.StartNew();

        await server.ChatAsync(new { messages = SimulatorServer.User("Hi"), ignore_eos = true, max_tokens = 100 });

        // Never faster than the model; how much slower depends on this machine.
        Assert.InRange(clock.Elapsed.TotalMilliseconds, 99 * 5.759, 10_000);
        var mean = await server.MetricAsync("vllm:inter_token_latency_seconds_sum") / await server.MetricAsync(
            "vllm:inter_token_latency_seconds_count");
        Assert.InRange(mean, 0.0055, 0.05);
        Assert.Equal(100, await server.MetricAsync("vllm:generation_tokens_total"));
    }

    [Fact]
    public async Task Priority_PolicyOn_IsAccepted()
    {
        using var server = SimulatorServer.Start(("SchedulingPolicy", "priority"));

        await server.ChatAsync(new { messages = SimulatorServer.User("Hi"), priority = -3 });
    }
}
