using System.Net;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

public sealed class DrainTests
{
    private const string Ask = """{"model":"default"}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Drained_FinishesWhatRuns_GetsNothingNew_UntilItIsOpenAgain()
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var one = await FakeReplica.StartAsync(async context =>
        {
            reached.TrySetResult();
            await released.Task.WaitAsync(context.RequestAborted);
            await FakeReplica.AnswerAsync(context);
        });
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([one.Address, two.Address]);
        var name = new Uri(one.Address).Authority;
        var running = new List<Task<HttpResponseMessage>>();
        while (!reached.Task.IsCompleted)
        {
            running.Add(proxy.PostAsync(Ask));
            await Task.WhenAny(reached.Task, running[^1]).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }

        Assert.Equal("this proxy", await proxy.OperateAsync($"{name}/drain"));
        var (received, before) = (one.Received.Count, two.Received.Count);
        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal((received, before + 4), (one.Received.Count, two.Received.Count));
        var shown = await proxy.ReplicaAsync(0);
        Assert.Equal((true, 1), (shown.GetProperty("draining").GetBoolean(), shown.GetProperty("inFlight").GetInt32()));

        released.SetResult();
        foreach (var response in await Task.WhenAll(running).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            response.Dispose();
        }

        await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("inFlight").GetInt32() == 0);
        Assert.Equal("this proxy", await proxy.OperateAsync($"{name}/undrain"));
        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(Ask);
        }

        Assert.True(one.Received.Count > received);
    }

    [Fact]
    public async Task AllDrained_503_AndUnknownReplica_404()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(
            ["http://fleet"], ("services:fleet:http:0", replica.Address), ("services:fleet:http:1", DeadAddress.Take()));

        Assert.Equal("this proxy", await proxy.OperateAsync("fleet%230/drain"));
        using var unknown = await proxy.SendActionAsync("nobody/drain", ProxyHost.OperatorKey);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);

        using var response = await proxy.PostAsync(Ask);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Empty(replica.Received);
    }
}
