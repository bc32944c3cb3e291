using ValueCanvas.InferenceProxy.Operations;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

public sealed class BreakerTests
{
    private readonly SteppedClock _clock = new();
    private readonly BreakerOptions _options = new();
    private readonly Breaker _breaker;
    private long _sequence;

    public BreakerTests() => _breaker = new Breaker("vllm-0", "small-model", _clock);

    [Fact]
    public void Failures_ThreeInARow_OpenIt()
    {
        Fail(2);
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Succeed(1);
        Fail(2);
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Fail(1);

        Assert.Equal(BreakerState.Open, _breaker.State);
        Assert.Equal(TimeSpan.FromSeconds(30), _breaker.Blocked(_options)!.Value.Time);
        Assert.Equal("consecutive failures", _breaker.View(_options).Transitions[0].Reason);
    }

    [Fact]
    public void Failures_InARowAmongManySamples_DoNotOpenItBelowTheRatio()
    {
        Succeed(10);
        Fail(9);
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Fail(1);

        Assert.Equal(BreakerState.Open, _breaker.State);
        Assert.Equal("failure ratio", _breaker.View(_options).Transitions[0].Reason);
    }

    [Fact]
    public void Samples_OlderThanTheWindow_NoLongerCount()
    {
        Succeed(50);
        _clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(0, _breaker.View(_options).Samples);
        Fail(3);

        Assert.Equal(BreakerState.Open, _breaker.State);
    }

    [Fact]
    public void SlowCalls_MostOfEnoughSamples_OpenIt()
    {
        for (var i = 0; i < 9; i++)
            Record(BreakerVerdict.Success, slow: true);

        Assert.Equal(BreakerState.Closed, _breaker.State);
        Record(BreakerVerdict.Success, slow: true);

        Assert.Equal(BreakerState.Open, _breaker.State);
        Assert.Equal("slow calls", _breaker.View(_options).Transitions[0].Reason);
    }

    [Fact]
    public void NeutralOutcomes_Always_CountNothing()
    {
        Fail(2);
        for (var i = 0; i < 20; i++)
            Record(BreakerVerdict.Neutral);

        Assert.Equal((BreakerState.Closed, 2), (_breaker.State, _breaker.View(_options).Samples));
    }

    [Fact]
    public void HalfOpen_AfterTheTime_LetsAFewProbesThroughAndClosesAfterTwoSuccesses()
    {
        Fail(3);
        _clock.Advance(TimeSpan.FromSeconds(29.9));
        Assert.False(_breaker.TryEnter(_options, out _, out _));
        _clock.Advance(TimeSpan.FromSeconds(0.1));

        var probes = Enumerable.Range(0, 3).Select(_ => Enter()).ToArray();
        Assert.Equal(BreakerState.HalfOpen, _breaker.State);
        Assert.False(_breaker.TryEnter(_options, out _, out _), "all places are taken");

        _breaker.Record(probes[0], BreakerVerdict.Neutral, slow: false, null, _options); // the client left: its place is free again
        var fourth = Enter();
        Assert.Null(_breaker.Record(probes[1], BreakerVerdict.Success, slow: false, null, _options));
        Assert.Equal(BreakerState.Closed, _breaker.Record(fourth, BreakerVerdict.Success, slow: false, null, _options)!.To);
        Assert.Null(_breaker.Record(probes[2], BreakerVerdict.Failure, slow: false, "cut", _options)); // of a state that is over
        Assert.Equal((BreakerState.Closed, 0), (_breaker.State, _breaker.View(_options).Samples));
    }

    [Fact]
    public void Probe_WhoseAnswerHasBegun_MakesRoomForTheNextAndCountsAtItsEnd()
    {
        Fail(3);
        _clock.Advance(TimeSpan.FromSeconds(30));
        var probes = Enumerable.Range(0, 3).Select(_ => Enter()).ToArray();
        Assert.False(_breaker.TryEnter(_options, out _, out _));

        var begun = _breaker.Began(_breaker.Began(probes[0]));
        Assert.True(_breaker.TryEnter(_options, out var fourth, out _));
        Assert.False(_breaker.TryEnter(_options, out _, out _));

        _breaker.Record(begun, BreakerVerdict.Success, slow: false, null, _options);
        Assert.False(_breaker.TryEnter(_options, out _, out _));
        Assert.Equal(BreakerState.HalfOpen, _breaker.State);
        _breaker.Record(fourth, BreakerVerdict.Success, slow: false, null, _options);
        Assert.Equal(BreakerState.Closed, _breaker.State);
    }

    [Fact]
    public void Probe_Fails_OpensItLongerUpToTheCap()
    {
        var options = new BreakerOptions { OpenDuration = TimeSpan.FromSeconds(10), MaxOpenDuration = TimeSpan.FromSeconds(50) };
        Fail(3);
        foreach (var expected in new[] { 20, 40, 50, 50 })
        {
            _clock.Advance(_breaker.Blocked(options)!.Value.Time);
            Assert.True(_breaker.TryEnter(options, out var probe, out _));
            _breaker.Record(probe, BreakerVerdict.Failure, slow: false, "reset", options);
            Assert.Equal(expected, _breaker.Blocked(options)!.Value.Time.TotalSeconds, precision: 3);
        }
    }

    [Fact]
    public void OutcomesOfEarlierStates_Late_ChangeNothing()
    {
        var early = Enumerable.Range(0, 10).Select(_ => Enter()).ToArray();
        Fail(3);
        foreach (var pass in early)
            Assert.Null(_breaker.Record(pass, BreakerVerdict.Success, slow: false, null, _options));

        Assert.Equal(BreakerState.Open, _breaker.State);
    }

    [Fact]
    public void Operator_OpensClosesAndResets_AtOnce()
    {
        Operate(OperatorVerb.Open, TimeSpan.FromSeconds(5));
        Assert.Equal(TimeSpan.FromSeconds(5), _breaker.Blocked(_options)!.Value.Time);
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Null(_breaker.Blocked(_options));

        Operate(OperatorVerb.Open);
        _clock.Advance(TimeSpan.FromDays(2));
        Assert.NotNull(_breaker.Blocked(_options));
        Operate(OperatorVerb.Close);
        Assert.Null(_breaker.Blocked(_options));

        Fail(2);
        _breaker.Cool(TimeSpan.FromSeconds(9), rateLimited: true, _options);
        Operate(OperatorVerb.Reset);
        Assert.Null(_breaker.Blocked(_options));
        Assert.Equal((0, 0, null), (_breaker.View(_options).Samples, _breaker.View(_options).Consecutive, _breaker.View(
            _options).LastFailure));
    }

    [Fact]
    public void Operator_EarlierWordThatComesLate_IsNotFollowed()
    {
        Operate(OperatorVerb.Open);
        var late = new OperatorAction(1, "vllm-0", null, OperatorVerb.Close, _clock.GetUtcNow(), null);

        Assert.Null(_breaker.Follow(late with { Sequence = 0 }));
        Assert.Equal(BreakerState.ForcedOpen, _breaker.State);
        Assert.NotNull(_breaker.Follow(late with { Sequence = 99 }));
        Assert.Null(_breaker.Follow(late with { Sequence = 99 }));
    }

    [Fact]
    public void Operator_WordAboutAllModels_HoldsForThoseThatComeLater_UntilOneIsClosed()
    {
        var breakers = new ReplicaBreakers("vllm-0", _clock);
        breakers.Follow(new OperatorAction(7, "vllm-0", null, OperatorVerb.Open, _clock.GetUtcNow(), null));
        Assert.Equal(BreakerState.ForcedOpen, breakers.Of("later").State);

        breakers.Follow(new OperatorAction(8, "vllm-0", "later", OperatorVerb.Close, _clock.GetUtcNow(), null));
        breakers.Follow(new OperatorAction(7, "vllm-0", null, OperatorVerb.Open, _clock.GetUtcNow(), null));
        Assert.Equal((BreakerState.Closed, BreakerState.ForcedOpen), (breakers.Of("later").State, breakers.Of("another").State));
    }

    [Fact]
    public void Cooling_AsTheServerAsked_BlocksWithoutBlame()
    {
        _breaker.Cool(TimeSpan.FromSeconds(7), rateLimited: true, _options);

        Assert.Equal(new BreakerWait(TimeSpan.FromSeconds(7), RateLimited: true), _breaker.Blocked(_options));
        Assert.Equal((BreakerState.Closed, 0), (_breaker.State, _breaker.View(_options).Samples));
        _clock.Advance(TimeSpan.FromSeconds(7));
        Assert.Null(_breaker.Blocked(_options));
        _breaker.Cool(TimeSpan.FromDays(30), rateLimited: true, _options);
        Assert.Equal(_options.MaxCooling, _breaker.Blocked(_options)!.Value.Time);
    }

    [Fact]
    public void Transitions_Many_OnlyTheLastAreKept()
    {
        for (var i = 0; i < 100; i++)
        {
            Operate(OperatorVerb.Open);
            Operate(OperatorVerb.Close);
        }

        Assert.Equal(16, _breaker.View(_options).Transitions.Count);
    }

    [Fact]
    public void RetryBudget_InAnOutage_AllowsAFifthOfTheRequestsAndAFewPerSecond()
    {
        var options = new RetryOptions();
        var budget = new RetryBudget(_clock);
        var spent = 0;
        for (var i = 0; i < 1000; i++)
        {
            budget.Request();
            spent += budget.TrySpend(options) ? 1 : 0;
        }

        Assert.InRange(spent, 200, 205);
        _clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(5, Enumerable.Range(0, 100).Count(_ => budget.TrySpend(options)));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(5, Enumerable.Range(0, 100).Count(_ => budget.TrySpend(options)));
    }

    private BreakerPass Enter()
    {
        Assert.True(_breaker.TryEnter(_options, out var pass, out _));
        return pass;
    }

    private void Record(BreakerVerdict verdict, bool slow = false) => _breaker.Record(Enter(), verdict, slow, "cut", _options);

    private void Operate(OperatorVerb verb, TimeSpan? duration = null) => _breaker.Follow(
        new OperatorAction(++_sequence, "vllm-0", null, verb, _clock.GetUtcNow(), _clock.GetUtcNow() + duration));

    private void Fail(int times)
    {
        for (var i = 0; i < times; i++)
            Record(BreakerVerdict.Failure);
    }

    private void Succeed(int times)
    {
        for (var i = 0; i < times; i++)
            Record(BreakerVerdict.Success);
    }
}
