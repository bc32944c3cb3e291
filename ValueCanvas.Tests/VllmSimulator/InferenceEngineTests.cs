using Microsoft.Extensions.Options;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.VllmSimulator;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class InferenceEngineTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Submit_OnAManualClock_GivesATokenAStepAndNotBefore()
    {
        var clock = new SteppedClock();
        using var engine = new InferenceEngine(Options.Create(new SimulatorOptions()), new EngineMetrics(), clock);
        await engine.StartAsync(TestContext.Current.CancellationToken);
        var sequence = new Sequence(VirtualEngine.Tokens(580), VirtualEngine.Tokens(3), FinishReason.Stop);

        engine.Submit([sequence]);
        Assert.Equal(0, sequence.Emitted);
        for (var token = 1; token <= 3; token++)
        {
            await clock.AdvanceToNextTimerAsync();
            await sequence.WaitAsync(token, TestContext.Current.CancellationToken).AsTask()
                .WaitAsync(Limit, TestContext.Current.CancellationToken);
            Assert.Equal(token, sequence.Emitted);
        }

        // 5.753 ms and 580 tokens at 57,968 a second, then two decode steps; timers have millisecond resolution.
        Assert.InRange(clock.GetUtcNow().TimeOfDay.TotalMilliseconds, 26, 29);
        await engine.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Abort_WaitingRequest_LeavesTheQueueAtOnce()
    {
        var clock = new SteppedClock();
        using var engine = new InferenceEngine(Options.Create(new SimulatorOptions { MaxNumSeqs = 1 }), new EngineMetrics(), clock);
        await engine.StartAsync(TestContext.Current.CancellationToken);
        var running = new Sequence([1, 2, 3], VirtualEngine.Tokens(10), FinishReason.Stop);
        var waiting = new Sequence([1, 2, 3], VirtualEngine.Tokens(10), FinishReason.Stop);
        engine.Submit([running]);
        await clock.AdvanceToNextTimerAsync();
        await running.WaitAsync(1, TestContext.Current.CancellationToken).AsTask().WaitAsync(Limit, TestContext.Current.CancellationToken);
        engine.Submit([waiting]);
        Assert.Equal((1, 1), engine.Read((_, state) => (state.Running, state.Waiting)));

        engine.Abort([waiting]);
        Assert.Equal((1, 0), engine.Read((_, state) => (state.Running, state.Waiting)));
        engine.Abort([running]);

        Assert.Equal(new EngineState(0, 0, 0), engine.Read((_, state) => state));
        Assert.True(waiting.Ended);
        await engine.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task WaitAsync_Cancelled_Throws()
    {
        var sequence = new Sequence([1], [1], FinishReason.Stop);
        using var cancelled = new CancellationTokenSource();
        var wait = sequence.WaitAsync(1, cancelled.Token).AsTask();

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait.WaitAsync(Limit, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Validate_ContextLargerThanTheCache_NamesTheKeys()
    {
        var options = new SimulatorOptions { KvBlocks = 10 };

        var result = Assert.Single(options.Validate(new System.ComponentModel.DataAnnotations.ValidationContext(options)));

        Assert.Contains("Simulator:KvBlocks", result.ErrorMessage);
    }
}
