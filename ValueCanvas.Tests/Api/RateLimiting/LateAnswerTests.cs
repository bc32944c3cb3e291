using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>
/// An answer of Redis is late, no more: memory decides in time, and every request is counted for all just once. Time stands still unless it
/// is moved, so nothing else is late.
/// </summary>
public sealed class LateAnswerTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMilliseconds(25);

    private readonly SteppedClock _clock = new();
    private readonly RateLimitingOptions _options = new() { Prefix = $"late-{Guid.NewGuid():N}", RedisTimeout = Timeout };
    private RedisConnection _redis = null!;
    private FreezingProxy? _proxy;
    private LimiterInstance _instance = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var (host, port) = LimiterInstance.Address(servers.Redis);
        _redis = await RedisConnection.OpenAsync(servers.Redis);
        _proxy = new FreezingProxy(host, port);
        _instance = await LimiterInstance.StartAsync(LimiterInstance.Through(_proxy, servers.Redis), _options, _clock);
    }

    public async ValueTask DisposeAsync()
    {
        _redis.Dispose();
        _proxy?.Thaw();
        await _instance.DisposeAsync();
        if (_proxy is not null)
            await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public async Task Request_DecidedInMemoryMeanwhile_IsCountedOnce(string algorithm)
    {
        _options.MinInstances = 4;
        var charge = LimitTestData.Charge(
            LimitTestData.Policy(Enum.Parse<LimitAlgorithm>(algorithm), 100, TimeSpan.FromDays(30)), prefix: _options.Prefix);
        Assert.Equal(99, (await AskAsync(charge)).Readings[0].Remaining);

        var made = await AskLateAsync(charge);
        _proxy!.Thaw();

        Assert.Equal((true, false), (made.Allowed, made.Counted));
        // The first, the one that was late, and this.
        var next = await AskAsync(charge);
        Assert.Equal((true, 97L), (next.Counted, next.Readings[0].Remaining));
    }

    [Fact]
    public async Task Tokens_SettledBeforeRedisAnswers_AreWhatWasUsed()
    {
        var charge = Tokens(TokenMode.Estimate, 100);
        var made = await AskLateAsync(charge);
        await _instance.Limiter.SettleAsync(made, 10);
        _proxy!.Thaw();

        await UntilCountAsync(charge, 10);
        Assert.Equal(0, await _redis.Database.SortedSetLengthAsync(KeyNames.Records(charge.Key)));
    }

    [Fact]
    public async Task Tokens_SettledAfterRedisAnswered_AreWhatWasUsed()
    {
        // Under a strict policy memory decides only where it knows how Redis counts.
        var charge = Tokens(TokenMode.Strict, 100);
        Assert.False((await AskLateAsync(charge)).Allowed);
        _proxy!.Thaw();
        await AskAsync(charge with { Cost = 1 });
        await UntilCountAsync(charge, 1);

        var made = await AskLateAsync(charge);
        Assert.True(made.Allowed);
        _proxy!.Thaw();
        await UntilCountAsync(charge, 101);
        await _instance.Limiter.SettleAsync(made, 10);

        await UntilCountAsync(charge, 11);
    }

    [Fact]
    public async Task Request_RefusedInMemory_IsGivenBack()
    {
        // A quarter of the limit is less than it needs, and strict policies admit nothing beyond their share.
        _options.MinInstances = 4;
        var charge = Tokens(TokenMode.Strict, 600);
        Assert.False((await AskLateAsync(charge)).Allowed);
        _proxy!.Thaw();

        // Redis had admitted it.
        Assert.Equal(1000 - 600 - 1, (await AskAsync(charge with { Cost = 1 })).Readings[0].Remaining);
        await UntilCountAsync(charge, 1);
    }

    [Fact]
    public async Task Request_AdmittedWhereRedisHasNoRoom_IsADebt()
    {
        var charge = Tokens(TokenMode.Estimate, 100);
        await using var other = await LimiterInstance.StartAsync(servers.Redis, _options, _clock);
        await AskAsync(charge);
        _proxy!.Freeze();
        Assert.True((await other.AskAsync(charge with { Cost = 850 })).Allowed);

        var made = await AskLateAsync(charge);
        Assert.True(made.Allowed);
        _proxy!.Thaw();

        await UntilCountAsync(charge, 1050);
        Assert.False((await other.AskAsync(charge)).Allowed);
        await _instance.Limiter.SettleAsync(made, 20);
        await UntilCountAsync(charge, 970);
    }

    [Fact]
    public async Task Concurrency_AdmittedMeanwhile_HoldsItsPlaceUntilItIsOver()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.Concurrency, 1, TimeSpan.FromSeconds(1));
        var charge = LimitTestData.Charge(policy, prefix: _options.Prefix);
        var made = await AskLateAsync(charge);
        Assert.True(made.Allowed);
        _proxy!.Thaw();
        Assert.False((await AskAsync(charge)).Allowed);

        await _instance.Limiter.SettleAsync(made, 0);

        await LimiterInstance.UntilAsync(async () => (await AskAsync(charge)).Allowed);
    }

    [Fact]
    public async Task Request_WhoseQuestionIsLost_IsToldLater()
    {
        var charge = Tokens(TokenMode.Estimate, 100);
        var epoch = (await AskAsync(charge)).Epoch;
        await AskLateAsync(charge);
        Assert.Equal(0, _instance.Local.LevelToRestore(charge, epoch));

        await _proxy!.DisposeAsync();
        _proxy = null;

        await LimiterInstance.UntilAsync(() => _instance.Local.LevelToRestore(charge, epoch) >= 200);
    }

    [Fact]
    public async Task Redis_Frozen_IsWaitedForAFewTimesAndThenNoMore()
    {
        var charge = Tokens(TokenMode.Estimate, 1);
        Assert.True((await AskAsync(charge)).Counted);
        for (var i = 0; i < _options.RedisFailures; i++)
        {
            Assert.False(_instance.Gate.IsOpen);
            Assert.True((await AskLateAsync(charge)).Allowed);
        }

        // Nobody waits, though time stands still; nor do the heartbeats that Redis does not answer change that.
        Assert.True(_instance.Gate.IsOpen);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(_instance.AskAsync(charge).IsCompletedSuccessfully);
            _clock.Advance(_options.Heartbeat);
        }

        Assert.True(_instance.Gate.IsOpen);
        _proxy!.Thaw();
        await _clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(10), () => !_instance.Gate.IsOpen);
        Assert.True((await AskAsync(charge)).Counted);
    }

    [Fact]
    public async Task Requests_ThatEndWhileRedisIsAway_AreSettledWhenItIsBack()
    {
        var places = LimitTestData.Charge(
            LimitTestData.Policy(LimitAlgorithm.Concurrency, 1, TimeSpan.FromSeconds(1)),
            prefix: _options.Prefix);
        foreach (var mode in Enum.GetValues<TokenMode>())
        {
            var charge = Tokens(mode, 100) with { Key = $"{Tokens(mode, 1).Key}:{mode}" };
            var admitted = await _instance.AskAsync(charge, places);
            Assert.True(admitted.Counted);
            while (!_instance.Gate.IsOpen)
                await AskLateAsync(Tokens(mode, 1));

            await _instance.Limiter.SettleAsync(admitted, 10);
            _proxy!.Thaw();
            await _clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(10), () => !_instance.Gate.IsOpen);

            await UntilCountAsync(charge, 10);
            Assert.Equal(0, await _redis.Database.SortedSetLengthAsync(places.Key));
        }
    }

    private Charge Tokens(TokenMode mode, long cost) => LimitTestData.Charge(
        LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 1000, TimeSpan.FromDays(30), unit: LimitUnit.Tokens, mode: mode),
        cost,
        _options.Prefix);

    private Task<LimitDecision> AskAsync(Charge charge) => _instance.AskAsync(charge).WaitAsync(TimeSpan.FromSeconds(20), Cancel);

    /// <summary>Redis is frozen; the request has its answer as soon as the timeout is over.</summary>
    private async Task<LimitDecision> AskLateAsync(Charge charge)
    {
        _proxy!.Freeze();
        var asking = _instance.AskAsync(charge);
        _clock.Advance(Timeout - TimeSpan.FromMilliseconds(1));
        Assert.False(asking.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        var made = await asking.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.True(made.IsLate);
        return made;
    }

    private Task UntilCountAsync(Charge charge, long count) =>
        LimiterInstance.UntilAsync(async () => await LimitTestData.WindowSumAsync(_redis.Database, charge.Key) == count);
}
