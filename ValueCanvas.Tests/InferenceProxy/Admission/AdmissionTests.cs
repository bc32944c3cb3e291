using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Admission;

public sealed class AdmissionTests
{
    private const string Ask = """{"model":"default"}""";
    private static readonly RouteRequest Small = new("small-model", Streamed: false, PromptBytes: 0, Prefix: null);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Limit_OfRunningRequests_IsNeverExceededAndAllAreAnswered()
    {
        var (running, most) = (0, 0);
        var gate = new Lock();
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            lock (gate)
                most = Math.Max(most, ++running);

            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, context.RequestAborted);
            lock (gate)
                running--;

            await FakeReplica.AnswerAsync(context);
        });
        await using var proxy = Start(replica, limit: 3);

        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => proxy.PostAsync(Ask)))
            .WaitAsync(TimeSpan.FromSeconds(20), Cancel);

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Equal(3, most);
        Assert.Equal(0, Queue(proxy).Waiting);
        await ProxyHost.UntilAsync(() => Task.FromResult(Replica(proxy).InFlight == 0));
        Array.ForEach(answers, answer => answer.Dispose());
    }

    [Fact]
    public async Task Queue_Full_RefusesWithRetryAfterFromServiceTimes()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1, ("Inference:Admission:MaxWaiting", "1"));
        Replica(proxy).Load.TryEnter(1, 0);
        Replica(proxy).Load.Leave(TimeSpan.FromSeconds(7));
        var (running, waiting) = await OneRunsAndOneWaitsAsync(proxy, held);

        using var refused = await proxy.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("overloaded", (await refused.ErrorAsync()).GetProperty("code").GetString());
        Assert.Equal(TimeSpan.FromSeconds(14), refused.Headers.RetryAfter!.Delta); // one waits, and each takes seven seconds
        held.Release();
        foreach (var answer in await Task.WhenAll(running, waiting).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            answer.Dispose();
        }
    }

    [Fact]
    public async Task Waiting_TooLong_IsRefused()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1, ("Inference:Admission:MaxWait", "00:00:00.2"));
        var running = proxy.PostAsync(Ask);
        await held.Reached.WaitAsync(TimeSpan.FromSeconds(30), Cancel);

        using var refused = await proxy.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Single(replica.Received);
        held.Release();
        (await running).Dispose();
    }

    // What the client of a stream gets while it waits, and how its waiting ends: with a place, or refused when status 200 is out.
    [Theory]
    [InlineData("00:00:30")]
    [InlineData("00:00:03")]
    public async Task Stream_WaitingForAPlace_GetsCommentsUntilItsAnswerOrAnErrorEvent(string maxWait)
    {
        var held = new HeldReplica(stream: true);
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1, ("Inference:KeepAlive", "00:00:00.1"), ("Inference:Admission:MaxWait", maxWait));
        var running = proxy.PostAsync(Ask);
        await held.Reached.WaitAsync(TimeSpan.FromSeconds(30), Cancel);

        using var response = await proxy.PostAsync("""{"model":"default","stream":true}""");
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        Assert.Equal(": keep-alive", await reader.ReadLineAsync(Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        Assert.Single(replica.Received);
        if (maxWait == "00:00:30")
            held.Release();

        var text = await reader.ReadToEndAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        if (maxWait == "00:00:30")
        {
            Assert.Contains("\"content\":\"hello\"", text);
            Assert.Contains("[DONE]\n\n: x-valuecanvas-target: ", text);
            Assert.Equal(2, replica.Received.Count);
        }
        else
        {
            Assert.Contains("\"code\":\"overloaded\"", text);
            Assert.Single(replica.Received);
            held.Release();
        }

        Assert.Equal(0, Queue(proxy).Waiting);
        (await running).Dispose();
        await ProxyHost.UntilAsync(() => Task.FromResult(Replica(proxy).InFlight == 0));
    }

    [Fact]
    public async Task Client_ThatLeaves_LeavesTheQueueAtOnce()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1);
        var running = proxy.PostAsync(Ask);
        await held.Reached.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        using var leave = new CancellationTokenSource();
        var waiting = proxy.PostAsync(Ask, cancel: leave.Token);
        await ProxyHost.UntilAsync(() => Task.FromResult(Queue(proxy).Waiting == 1));

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await ProxyHost.UntilAsync(() => Task.FromResult(Queue(proxy).Waiting == 0));
        held.Release();
        (await running).Dispose();
        Assert.Single(replica.Received);
    }

    [Fact]
    public async Task Replica_ThatDies_LeavesNobodyWaiting()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1);
        var (running, waiting) = await OneRunsAndOneWaitsAsync(proxy, held);

        await replica.StopAsync();

        foreach (var answer in await Task.WhenAll(running, waiting).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            answer.Dispose();
        }
    }

    [Fact]
    public async Task Order_IsByPriority_ThenTenantsInTurn_ThenDeadline()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(replica, limit: 1);
        var (queue, topology) = (Queue(proxy), proxy.Services.GetRequiredService<Fleet>().Current);
        var (first, _) = await queue.PlaceAsync(Target(topology), topology.Options, Small, null, Who("a"), Cancel);
        var order = new List<string>();
        var soon = TimeProvider.System.GetUtcNow().AddSeconds(20);
        List<Task> all =
        [
            WaitAsync("a1", Who("a")), WaitAsync("a2", Who("a")), WaitAsync("a3", Who("a")),
            WaitAsync("b1", Who("b")), WaitAsync("b2 urgent", Who("b") with { Deadline = soon }),
            WaitAsync("low", Who("c") with { Priority = Priority.Low }), WaitAsync("high", Who("c") with { Priority = Priority.High }),
        ];

        first!.Dispose();

        await Task.WhenAll(all).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal(["high", "a1", "b2 urgent", "a2", "b1", "a3", "low"], order);

        async Task WaitAsync(string name, Caller caller)
        {
            var (place, refused) = await queue.PlaceAsync(Target(topology), topology.Options, Small, null, caller, Cancel);
            Assert.Null(refused);
            order.Add(name); // one at a time: only who has the place is here
            place!.Dispose();
        }
    }

    [Fact]
    public async Task FullQueue_MoreImportantRequest_TakesThePlaceOfALessImportantOne()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(replica, limit: 1, ("Inference:Admission:MaxWaiting", "4"));
        var (queue, topology) = (Queue(proxy), proxy.Services.GetRequiredService<Fleet>().Current);
        var (first, _) = await queue.PlaceAsync(Target(topology), topology.Options, Small, null, Who("a"), Cancel);
        var low = Wait(Who("b") with { Priority = Priority.Low });
        Task<(Placement? Placement, ProxyError? Refused)>[] greedy = [Wait(Who("greedy")), Wait(Who("greedy")), Wait(Who("greedy"))];

        var high = Wait(Who("d") with { Priority = Priority.High });
        Assert.Equal(503, (await low.WaitAsync(TimeSpan.FromSeconds(30), Cancel)).Refused!.Status);

        // Four wait again, three of them one tenant's: that one has more than its share.
        var more = await Wait(Who("greedy")).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal((429, true), (more.Refused!.Status, more.Refused.RetryAfter >= TimeSpan.FromSeconds(1)));
        var late = await Wait(Who("a") with { Deadline = TimeProvider.System.GetUtcNow().AddSeconds(-1) })
            .WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal((504, "deadline_exceeded"), (late.Refused!.Status, late.Refused.Code));

        first!.Dispose();
        (await high.WaitAsync(TimeSpan.FromSeconds(30), Cancel)).Placement!.Dispose();
        foreach (var waiting in greedy)
            (await waiting.WaitAsync(TimeSpan.FromSeconds(30), Cancel)).Placement!.Dispose();

        Assert.Equal((0, 0), (queue.Waiting, Replica(proxy).InFlight));

        Task<(Placement? Placement, ProxyError? Refused)> Wait(Caller caller) =>
            queue.PlaceAsync(Target(topology), topology.Options, Small, null, caller, Cancel).AsTask();
    }

    [Fact]
    public async Task Waiting_WhenAReplicaIsAdded_IsServedThere_AndWhenAllAreGone_NoLonger()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var added = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1);
        var configuration = (IConfigurationRoot)proxy.Services.GetRequiredService<IConfiguration>();
        var (running, waiting) = await OneRunsAndOneWaitsAsync(proxy, held);

        configuration["Inference:Providers:vllm:Endpoints:1"] = added.Address;
        configuration.Reload();
        await ProxyHost.UntilAsync(() => Task.FromResult(added.Received.Count == 1 && Queue(proxy).Waiting == 0));

        var late = proxy.PostAsync(Ask);
        await ProxyHost.UntilAsync(() => Task.FromResult(Queue(proxy).Waiting == 1));
        configuration["Inference:Providers:vllm:Endpoints:0"] = DeadAddress.Take();
        configuration["Inference:Providers:vllm:Endpoints:1"] = DeadAddress.Take();
        configuration.Reload();
        using (var refused = await late.WaitAsync(TimeSpan.FromSeconds(30), Cancel))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Equal("no_healthy_replica", (await refused.ErrorAsync()).GetProperty("code").GetString());
            Assert.NotNull(refused.Headers.RetryAfter);
        }

        held.Release();
        foreach (var answer in await Task.WhenAll(running, waiting).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode); // those under way end where they are
            answer.Dispose();
        }
    }

    [Fact]
    public async Task Drained_ThatOthersWaitFor_IsWaitedForNoLonger()
    {
        var held = new HeldReplica();
        await using var replica = await FakeReplica.StartAsync(held.AnswerAsync);
        await using var proxy = Start(replica, limit: 1);
        var (running, waiting) = await OneRunsAndOneWaitsAsync(proxy, held);

        await proxy.OperateAsync($"{Replica(proxy).Name}/drain");

        using var refused = await waiting.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal("no_healthy_replica", (await refused.ErrorAsync()).GetProperty("code").GetString());
        held.Release();
        using var answer = await running;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("Inference:Admission:MaxRunningPerReplica", "0")]
    [InlineData("Inference:Admission:MaxWaiting", "-1")]
    [InlineData("Inference:Admission:MaxWait", "00:00:00")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKey(string key, string value) =>
        Assert.Contains(key, Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], (key, value))).Message);

    private static ProxyHost Start(FakeReplica replica, int limit, params (string Key, string Value)[] settings) =>
        ProxyHost.Start(replica, [("Inference:Admission:MaxRunningPerReplica", $"{limit}"), .. settings]);

    private static ModelTarget Target(Topology topology) => topology.Routes.Resolve("small-model", null).Targets[0];

    /// <summary>Takes the only place with one request, and has another stand in line for it.</summary>
    private static async Task<(Task<HttpResponseMessage> Running, Task<HttpResponseMessage> Waiting)> OneRunsAndOneWaitsAsync(
        ProxyHost proxy, HeldReplica held)
    {
        var running = proxy.PostAsync(Ask);
        await held.Reached.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        var waiting = proxy.PostAsync(Ask);
        await ProxyHost.UntilAsync(() => Task.FromResult(Queue(proxy).Waiting == 1));
        return (running, waiting);
    }

    private static AdmissionQueue Queue(ProxyHost proxy) => proxy.Services.GetRequiredService<AdmissionQueue>();

    private static Replica Replica(ProxyHost proxy) => proxy.Services.GetRequiredService<Fleet>().Current.Replicas[0];

    private static Caller Who(string tenant) => new(tenant, Priority.Normal, null);

    /// <summary>A model server that answers when the test lets it.</summary>
    private sealed class HeldReplica(bool stream = false)
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => _reached.Task;

        public void Release() => _released.SetResult();

        public async Task AnswerAsync(Microsoft.AspNetCore.Http.HttpContext context)
        {
            _reached.TrySetResult();
            await _released.Task.WaitAsync(context.RequestAborted);
            await (stream ? FakeReplica.StreamAsync(context) : FakeReplica.AnswerAsync(context));
        }
    }
}
