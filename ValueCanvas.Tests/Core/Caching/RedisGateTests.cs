using Microsoft.Extensions.Logging.Abstractions;
using ValueCanvas.Core.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching;

/// <summary>When Redis is no longer asked.</summary>
public sealed class RedisGateTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(25);

    private readonly SteppedClock _clock = new();
    private readonly RedisGate _gate;

    public RedisGateTests() => _gate = new RedisGate("Tests", Limit, threshold: 3, _clock, NullLogger.Instance);

    [Fact]
    public async Task APause_LateForManyThatAreUnderWayAtOnce_DoesNotOpenIt()
    {
        await AnswerAsync();

        await LateAsync(64);

        Assert.False(_gate.IsOpen);
    }

    [Fact]
    public async Task Silence_OfTwoTimeouts_OpensIt()
    {
        await AnswerAsync();

        await LateAsync(64);
        await LateAsync(1);

        Assert.True(_gate.IsOpen);
    }

    [Fact]
    public async Task Pauses_WithAnAnswerInTimeBetween_DoNotOpenIt()
    {
        await AnswerAsync();

        await LateAsync(64);
        Assert.NotNull((await _gate.AskAsync(() => Task.FromResult("pong"))).Answer);
        await LateAsync(64);

        Assert.False(_gate.IsOpen);
    }

    [Fact]
    public async Task ACallThatFails_OpensItAtOnce()
    {
        await AnswerAsync();

        await _gate.AskAsync(() => Task.FromException<string>(new InvalidOperationException()));

        Assert.True(_gate.IsOpen);
    }

    private Task<string?> AnswerAsync() => _gate.ProbeAsync(() => Task.FromResult("pong"));

    private async Task LateAsync(int calls)
    {
        var never = new TaskCompletionSource<string>();
        var asked = Enumerable.Range(0, calls).Select(_ => _gate.AskAsync(() => never.Task).AsTask()).ToArray();
        _clock.Advance(Limit);
        foreach (var one in await Task.WhenAll(asked).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken))
            Assert.NotNull(one.Late);
    }
}
