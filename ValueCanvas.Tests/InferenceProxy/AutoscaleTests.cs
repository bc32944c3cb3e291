using System.Diagnostics.Metrics;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Autoscaling;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class AutoscaleTests
{
    private readonly SteppedClock _clock = new();
    private readonly AutoscaleOptions _options = new() { RequestsPerReplica = 10, ScaleDownAfter = TimeSpan.FromMinutes(5) };

    [Fact]
    public void Load_Rises_MoreAreWantedAtOnceWithinBounds()
    {
        var desired = new DesiredReplicas(_clock);

        Assert.Equal(2, desired.Next(Load(0), _options));
        Assert.Equal(4, desired.Next(Load(35), _options));
        Assert.Equal(8, desired.Next(Load(10_000), _options));
    }

    [Fact]
    public void Load_Falls_FewerAreWantedOnlyAfterAWhile_AndAGapCostsNone()
    {
        var desired = new DesiredReplicas(_clock);
        Assert.Equal(6, desired.Next(Load(60), _options));

        Assert.Equal(6, After(TimeSpan.FromMinutes(4), 0));
        Assert.Equal(6, After(TimeSpan.FromSeconds(30), 55)); // the gap is over
        Assert.Equal(6, After(TimeSpan.FromMinutes(4), 20));
        Assert.Equal(2, After(TimeSpan.FromMinutes(2), 20)); // nothing busier for more than five minutes

        int After(TimeSpan time, int requests)
        {
            _clock.Advance(time);
            return desired.Next(Load(requests), _options);
        }
    }

    [Fact]
    public void Start_WithManyReplicasAndNoLoadYet_TakesNoneAway()
    {
        var desired = new DesiredReplicas(_clock);

        Assert.Equal(5, desired.Next(new FleetLoad(5, 0, 0, 0, 0), _options));
    }

    [Fact]
    public void FullCaches_AndTheProxysQueue_CountToo()
    {
        Assert.Equal(6, new DesiredReplicas(_clock).Next(new FleetLoad(4, 4, 0, 0.95, 0), _options));
        Assert.Equal(7, new DesiredReplicas(_clock).Next(new FleetLoad(2, 10, 10, 0.1, 45), _options));
    }

    [Fact]
    public async Task Endpoint_TellsLoadAndWish_AndMetricsSayTheSame()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        one.Metrics = "vllm:num_requests_running{} 150\nvllm:num_requests_waiting{} 30\nvllm:kv_cache_usage_perc{} 0.5\n";
        two.Metrics = "vllm:num_requests_running{} 20\nvllm:num_requests_waiting{} 0\nvllm:kv_cache_usage_perc{} 0.1\n";
        await using var proxy = ProxyHost.Start([one.Address, two.Address], ("Inference:Routing:MetricsInterval", "00:00:00.05"));
        var replicas = proxy.Services.GetRequiredService<Fleet>().Current.Replicas;
        await ProxyHost.UntilAsync(() => Task.FromResult(replicas.All(replica => replica.Load.Live is not null)));

        var view = await proxy.Client.GetFromJsonAsync<JsonElement>("/autoscale", TestContext.Current.CancellationToken);

        Assert.Equal((170, 30, 0), (Number("running"), Number("waiting"), Number("queueDepth")));
        Assert.Equal((2, 4, 2, 8), (Number("replicas"), Number("desiredReplicas"), Number("minReplicas"), Number("maxReplicas")));
        Assert.Equal(0.3, view.GetProperty("kvCacheUsage").GetDouble(), 3);
        Assert.Equal(4, Metric(proxy, "valuecanvas.inference.fleet.desired_replicas"));
        Assert.Equal(170, Metric(proxy, "valuecanvas.inference.fleet.running"));

        int Number(string name) => view.GetProperty(name).GetInt32();
    }

    [Fact]
    public async Task Saturation_CallsForMoreAtOnce_AndItsEndForFewerOnlyAfterAWhile()
    {
        var clock = new SteppedClock();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await released.Task.WaitAsync(context.RequestAborted);
            await FakeReplica.AnswerAsync(context);
        });
        await using var proxy = ProxyHost.Start(clock, [replica.Address],
            ("Inference:ProbeInterval", "01:00:00"), ("Inference:Admission:MaxRunningPerReplica", "1"),
            ("Inference:Autoscale:RequestsPerReplica", "1"), ("Inference:Autoscale:ScaleDownAfter", "00:05:00"));
        Assert.Equal((0, 0, 2), await LookAsync());

        var asked = Enumerable.Range(0, 5).Select(_ => proxy.PostAsync("""{"model":"default"}""")).ToArray();
        await ProxyHost.UntilAsync(async () => await LookAsync() == (1, 4, 5));
        released.SetResult();
        foreach (var answer in await Task.WhenAll(asked).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken))
            answer.Dispose();

        await ProxyHost.UntilAsync(async () => await LookAsync() == (0, 0, 5));
        clock.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal((0, 0, 5), await LookAsync());
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal((0, 0, 2), await LookAsync());

        async Task<(int Running, int Queued, int Desired)> LookAsync()
        {
            var view = await proxy.Client.GetFromJsonAsync<JsonElement>("/autoscale", TestContext.Current.CancellationToken);
            return (view.GetProperty("running").GetInt32(), view.GetProperty("queueDepth").GetInt32(), view.GetProperty(
                "desiredReplicas").GetInt32());
        }
    }

    [Fact]
    public async Task Endpoint_OverARealSimulator_SeesItsLoad()
    {
        using var simulator = SimulatorServer.Start();
        await using var proxy = ProxyHost.Start(
            [simulator.Address.OriginalString.TrimEnd('/')], ("Inference:DefaultModel", SimulatorServer.Model));
        var replica = proxy.Services.GetRequiredService<Fleet>().Current.Replicas[0];

        await ProxyHost.UntilAsync(() => Task.FromResult(replica.Load.Live is not null));

        Assert.Equal((0, 0, 29_205 * 16), (replica.Load.Live!.Running, replica.Load.Live.Waiting, replica.Load.Live.CacheTokens));
    }

    [Theory]
    [InlineData("Inference:Autoscale:MinReplicas", "9")]
    [InlineData("Inference:Autoscale:RequestsPerReplica", "0")]
    [InlineData("Inference:Autoscale:TargetKvCacheUsage", "0")]
    [InlineData("Inference:Autoscale:ScaleDownAfter", "-00:00:01")]
    [InlineData("Inference:Batch:MaxRequests", "0")]
    [InlineData("Inference:Batch:MaxConcurrency", "0")]
    [InlineData("Inference:Batch:MaxAnswerBytes", "0")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKey(string key, string value) =>
        Assert.Contains(key, Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], (key, value))).Message);

    private static FleetLoad Load(int requests) => new(2, requests, 0, 0, 0);

    private static double Metric(ProxyHost proxy, string name)
    {
        var seen = double.NaN;
        var meters = proxy.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, all) =>
        {
            if (instrument.Name == name && instrument.Meter.Scope == meters)
                all.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => seen = value);
        listener.Start();
        listener.RecordObservableInstruments();
        return seen;
    }
}
