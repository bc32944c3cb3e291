using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Hedging;

/// <summary>A stream that is slow to begin is asked for at a second replica. On a clock of the test's own: no time passes but what a test
/// lets pass, so the usual time to the first content is nothing and a hedge is due after <c>MinDelay</c>.</summary>
public sealed class HedgingTests
{
    private const string Ask = """{"model":"default","stream":true}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_SlowToBegin_IsAnsweredByTheHedgeAndTheLoserIsCancelledAtOnce()
    {
        await using var fleet = await Fleet.StartAsync();

        using var response = await fleet.HedgedAsync(hold: 1);
        var text = await response.Content.ReadAsStringAsync(Cancel);

        Assert.Contains("\"content\":\"hello\"", text);
        Assert.EndsWith("data: [DONE]\n\n", text);
        Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        await fleet.Held[0].Aborted.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.NotEqual(fleet.Held[0].Name, response.Headers.GetValues("x-valuecanvas-target").Single());
        await fleet.AssertIdleAndBlamelessAsync();
        Assert.Equal(["won"], fleet.Outcomes);
    }

    [Fact]
    public async Task Stream_BeginsBeforeItsHedge_IsAnsweredByTheFirstAndTheHedgeIsCancelled()
    {
        await using var fleet = await Fleet.StartAsync();
        var asking = fleet.HedgedAsync(hold: 2);
        await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == 2));

        fleet.Held[0].Release();
        using var response = await asking;

        Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(fleet.Held[0].Name, response.Headers.GetValues("x-valuecanvas-target").Single());
        Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        await fleet.Held[1].Aborted.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        await fleet.AssertIdleAndBlamelessAsync();
        Assert.Equal(["lost"], fleet.Outcomes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Hedge_OrFirstFails_TheOtherAnswers(int failing)
    {
        await using var fleet = await Fleet.StartAsync();
        var asking = fleet.HedgedAsync(hold: 2);
        await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == 2));

        fleet.Held[failing].Fail();
        await ProxyHost.UntilAsync(async () => await fleet.FailuresAsync() == 1);
        Assert.False(asking.IsCompleted);
        fleet.Held[1 - failing].Release();
        using var response = await asking;

        Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(fleet.Held[1 - failing].Name, response.Headers.GetValues("x-valuecanvas-target").Single());
    }

    [Fact]
    public async Task Both_Fail_TheThirdReplicaAnswers()
    {
        await using var fleet = await Fleet.StartAsync(replicas: 3);
        var asking = fleet.HedgedAsync(hold: 2);
        await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == 2));

        fleet.Held[1].Fail();
        fleet.Held[0].Fail();
        using var response = await asking;

        Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("3", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Equal(2, await fleet.FailuresAsync());
    }

    [Fact]
    public async Task Client_Leaves_BothReplicasSeeItAndBothPlacesAreFree()
    {
        await using var fleet = await Fleet.StartAsync();
        using var leave = new CancellationTokenSource();
        var asking = fleet.HedgedAsync(hold: 2, leave.Token);
        await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == 2));

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await Task.WhenAll(fleet.Held.Select(held => held.Aborted)).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        await fleet.AssertIdleAndBlamelessAsync();
    }

    // Each alone keeps the second replica unasked: the first one's answer is waited for.
    [Theory]
    [InlineData("too few samples", "Inference:Hedging:MinSamples", "1000")]
    [InlineData("cap", "Inference:Hedging:MaxShare", "0.001")]
    [InlineData("off by the cap", "Inference:Hedging:MaxShare", "0")]
    [InlineData("off", "Inference:Hedging:Enabled", "false")]
    [InlineData("attempts", "Inference:Retries:MaxAttempts", "1")]
    [InlineData("half-open", "Inference:Breaker:OpenDuration", "00:00:00.001")]
    [InlineData("saturated", "", "")]
    [InlineData("no place", "Inference:Admission:MaxRunningPerReplica", "1")]
    public async Task Hedge_NotAllowed_IsNotSent(string why, string key, string value)
    {
        await using var fleet = await Fleet.StartAsync(settings: [(key, value)]);
        var asking = fleet.AskAsync(hold: 1);
        await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == 1));
        var other = fleet.Replicas.Single(replica => replica.Name != fleet.Held[0].Name);
        var breaker = other.Breakers.Of("small-model");
        switch (why)
        {
            case "half-open":
                var options = fleet.Options.Breaker; // its time is over before the hedge is due
                for (var i = 0; i < options.MinSamples && breaker.TryEnter(options, out var pass, out _); i++)
                    breaker.Record(pass, BreakerVerdict.Failure, slow: false, "cut", options);

                break;
            case "saturated":
                other.Load.Live = new(Running: 9, Waiting: 9, KvCacheUsage: 1, CacheTokens: 0, Foreign: 0);
                break;
            case "no place":
                Assert.True(other.Load.TryEnter(1, 0));
                break;
        }

        var received = fleet.Received;
        fleet.Clock.Advance(TimeSpan.FromSeconds(1));
        fleet.Held[0].Release();
        using var response = await asking;

        Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Equal(received, fleet.Received);
        Assert.Equal(why == "cap" ? ["refused"] : [], fleet.Outcomes);
        if (why == "half-open")
            Assert.Equal(BreakerState.Open, breaker.State);
    }

    [Fact]
    public async Task Cap_OfManySlowStreams_IsKept()
    {
        await using var fleet = await Fleet.StartAsync(
            settings: [("Inference:Hedging:MaxShare", "0.1"), ("Inference:Hedging:Percentile", "0.5")]);

        // Slow ones stay fewer than the twenty before: else they would be what is usual.
        for (var i = 0; i < 18; i++)
        {
            var asking = fleet.AskAsync(hold: 1);
            await ProxyHost.UntilAsync(() => Task.FromResult(fleet.Held.Count == i + 1));
            await fleet.Clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(200), () => asking.IsCompleted || fleet.Outcomes.Count == i + 1);
            if (fleet.Outcomes is [.., "refused"])
                fleet.Held[i].Release();

            using var response = await asking.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            await response.Content.ReadAsStringAsync(Cancel);
        }

        var hedges = fleet.Outcomes.Count(outcome => outcome == "won");
        Assert.InRange(hedges, 2, 3); // of 38 requests
        Assert.Equal(18, fleet.Outcomes.Count);
    }

    [Theory]
    [InlineData("Inference:Hedging:Percentile", "95")]
    [InlineData("Inference:Hedging:MinDelay", "00:00:00")]
    [InlineData("Inference:Hedging:MinSamples", "0")]
    [InlineData("Inference:Hedging:MaxShare", "1")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKey(string key, string value) =>
        Assert.Contains(key, Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], (key, value))).Message);

    /// <summary>A request that a replica has and does not answer until it is told how.</summary>
    private sealed class HeldRequest(string name)
    {
        private readonly TaskCompletionSource<bool> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Name => name;

        public Task Aborted => _aborted.Task;

        public void Release() => _answer.SetResult(true);

        public void Fail() => _answer.SetResult(false);

        public async Task AnswerAsync(HttpContext context)
        {
            try
            {
                if (await _answer.Task.WaitAsync(context.RequestAborted))
                    await FakeReplica.StreamAsync(context);
                else
                    context.Abort();
            }
            catch (OperationCanceledException)
            {
                _aborted.SetResult();
            }
        }
    }

    /// <summary>Replicas of which the first requests of a question are held, after twenty streams that were not.</summary>
    private sealed class Fleet : IAsyncDisposable
    {
        private readonly List<FakeReplica> _fakes = [];
        private readonly List<HeldRequest> _held = [];
        private readonly List<string> _outcomes = [];
        private readonly MeterListener _listener = new();
        private int _toHold;

        public SteppedClock Clock { get; } = new();

        public ProxyHost Proxy { get; private set; } = null!;

        public Replica[] Replicas => Topology.Replicas;

        public InferenceOptions Options => Topology.Options;

        public IReadOnlyList<HeldRequest> Held
        {
            get
            {
                lock (_held)
                    return [.. _held];
            }
        }

        public IReadOnlyList<string> Outcomes
        {
            get
            {
                lock (_outcomes)
                    return [.. _outcomes];
            }
        }

        private Topology Topology => Proxy.Services.GetRequiredService<ValueCanvas.InferenceProxy.Providers.Fleet>().Current;

        public int Received => _fakes.Sum(fake => fake.Received.Count);

        public static async Task<Fleet> StartAsync(int replicas = 2, params (string Key, string Value)[] settings)
        {
            var fleet = new Fleet();
            for (var i = 0; i < replicas; i++)
                fleet._fakes.Add(await FakeReplica.StartAsync(fleet.AnswerAsync));

            fleet.Proxy = ProxyHost.Start(fleet.Clock, fleet._fakes.Select(fake => fake.Address),
            [
                ("Inference:ProbeInterval", "12:00:00"), ("Inference:Routing:MetricsInterval", "00:10:00"),
                ("Inference:Hedging:MinSamples", "20"),
                ("Inference:Hedging:MaxShare", "0.5"), .. settings.Where(setting => setting.Key.Length > 0),
            ]);
            var meters = fleet.Proxy.Services.GetRequiredService<IMeterFactory>();
            fleet._listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "valuecanvas.inference.hedges")
                    listener.EnableMeasurementEvents(instrument);
            };
            fleet._listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
            {
                lock (fleet._outcomes)
                    fleet._outcomes.Add((string)tags[0].Value!);
            });
            fleet._listener.Start();
            for (var i = 0; i < 20; i++)
            {
                using var response = await fleet.Proxy.PostAsync(Ask);
                Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
            }

            return fleet;
        }

        /// <summary>Asks for a stream whose first attempts are held.</summary>
        public Task<HttpResponseMessage> AskAsync(int hold, CancellationToken? cancel = null)
        {
            Volatile.Write(ref _toHold, hold);
            return Proxy.PostAsync(Ask, cancel: cancel);
        }

        /// <summary>The same, and lets the time pass after which a hedge is due.</summary>
        public async Task<HttpResponseMessage> HedgedAsync(int hold, CancellationToken? cancel = null)
        {
            var before = Held.Count;
            var asking = AskAsync(hold, cancel);
            await ProxyHost.UntilAsync(() => Task.FromResult(Held.Count > before));
            // The replica may have the request before the proxy waits for its content.
            await Clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(60), () => asking.IsCompleted || Held.Count > before + 1);
            return await asking;
        }

        public async Task<int> FailuresAsync()
        {
            var failures = 0;
            for (var i = 0; i < _fakes.Count; i++)
            {
                failures += (await Proxy.ReplicaAsync(i)).GetProperty("breakers").EnumerateArray()
                    .Sum(b => b.GetProperty("failures").GetInt32());
            }

            return failures;
        }

        public async Task AssertIdleAndBlamelessAsync()
        {
            await ProxyHost.UntilAsync(
                () => Task.FromResult(Replicas.All(replica => replica.InFlight == 0 && replica.Load.PendingPrefill == 0)));
            Assert.Equal(0, await FailuresAsync());
            Assert.All(Replicas, replica => Assert.Equal(ReplicaStatus.Up, replica.State.Status));
        }

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await Proxy.DisposeAsync();
            foreach (var fake in _fakes)
                await fake.DisposeAsync();
        }

        private Task AnswerAsync(HttpContext context)
        {
            if (Interlocked.Decrement(ref _toHold) < 0)
                return FakeReplica.StreamAsync(context);

            var held = new HeldRequest($"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort}");
            lock (_held)
                _held.Add(held);

            return held.AnswerAsync(context);
        }
    }
}
