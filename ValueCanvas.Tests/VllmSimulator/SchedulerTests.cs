using ValueCanvas.VllmSimulator.Engine;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class SchedulerTests
{
    [Fact]
    public void Run_OneSequence_TakesWhatTheProfileSays()
    {
        var engine = new VirtualEngine();
        var sequence = engine.Add(prompt: 1_000, output: 101);

        engine.RunToEnd();

        Assert.Equal(5.753 + 1_000 / 57.968, sequence.FirstTokenAt.TotalMilliseconds, 0.01);
        Assert.Equal(5.759, (sequence.LastTokenAt - sequence.FirstTokenAt).TotalMilliseconds / 100, 0.01);
        Assert.Equal(SequenceState.Finished, sequence.State);
    }

    [Fact]
    public void Run_LongPrompt_IsPrefilledInChunksBesideDecodes()
    {
        var engine = new VirtualEngine();
        var running = engine.Add(prompt: 100, output: 200);
        engine.Run(1);
        var longOne = engine.Add(prompt: 10_000, output: 1, first: 3_000_000);

        engine.Run(4);

        // 10,000 tokens at 2,048 a step, of which the running sequence takes one: five steps.
        Assert.Equal(0, longOne.Emitted);
        Assert.Equal(5, running.Emitted);
        engine.Run(1);
        Assert.Equal(1, longOne.Emitted);
        Assert.Equal(6, running.Emitted);
    }

    [Fact]
    public void Run_MoreLoad_SlowsEveryOneDownAndRaisesThroughput()
    {
        var (aloneLatency, aloneRate) = Measure(1);
        var (busyLatency, busyRate) = Measure(64);
        var (fullLatency, fullRate) = Measure(512);

        Assert.True(busyLatency > aloneLatency * 1.05, $"{aloneLatency} → {busyLatency}");
        Assert.True(busyRate > aloneRate * 20, $"{aloneRate} → {busyRate}");
        // Twice the slots: the second half waits for the first, throughput does not grow on.
        Assert.True(fullLatency > busyLatency * 1.5, $"{busyLatency} → {fullLatency}");
        Assert.True(fullRate < busyRate * 5);

        static (double MeanMilliseconds, double TokensPerSecond) Measure(int concurrent)
        {
            var engine = new VirtualEngine();
            var sequences = Enumerable.Range(0, concurrent).Select(i => engine.Add(200, 100, first: 3_000_000 + i * 1_000)).ToArray();
            engine.RunToEnd();
            return (sequences.Average(s => s.LastTokenAt.TotalMilliseconds), concurrent * 100 / engine.Now.TotalSeconds);
        }
    }

    [Fact]
    public void Plan_AllSlotsTaken_QueuesInOrder()
    {
        var engine = new VirtualEngine(options => options.MaxNumSeqs = 2);
        var first = engine.Add(10, 5);
        var second = engine.Add(10, 50, first: 3_000_000);
        var third = engine.Add(10, 5, first: 4_000_000);
        var fourth = engine.Add(10, 5, first: 5_000_000);

        engine.Run(2);
        Assert.Equal((2, 2), (engine.Scheduler.Running, engine.Scheduler.Waiting));
        engine.RunToEnd();

        Assert.True(third.ScheduledAt >= first.LastTokenAt);
        Assert.True(fourth.ScheduledAt >= third.LastTokenAt);
        Assert.Equal(50, second.Emitted);
        Assert.Contains("vllm:request_queue_time_seconds_count", engine.MetricsText());
    }

    [Fact]
    public void Plan_SharedPrefix_IsTakenFromTheCache()
    {
        var engine = new VirtualEngine();
        var first = engine.Add(prompt: 1_000, output: 3);
        engine.RunToEnd();
        var again = engine.Add(prompt: 1_000, output: 3);
        var start = engine.Now;
        engine.RunToEnd();

        Assert.Equal(0, first.Cached);
        Assert.Equal(992, again.Cached);
        Assert.True((again.FirstTokenAt - start).TotalMilliseconds < first.FirstTokenAt.TotalMilliseconds / 3);
        Assert.Contains("vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"model\"} 992.0", engine.MetricsText());
        Assert.Contains("vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"model\"} 2000.0", engine.MetricsText());
    }

    [Fact]
    public void Plan_OtherSaltOrOtherBeginning_SharesNothing()
    {
        var engine = new VirtualEngine();
        engine.Add(prompt: 320, output: 1);
        engine.RunToEnd();
        var salted = engine.Add(prompt: 320, output: 1, salt: BlockHash.OfSalt("tenant"));
        var other = engine.Add(prompt: 320, output: 1, first: 2_000_001);
        engine.RunToEnd();

        Assert.Equal(0, salted.Cached);
        Assert.Equal(0, other.Cached);
    }

    [Fact]
    public void Plan_AnswerBecomesPrompt_GeneratedBlocksAreCachedToo()
    {
        var engine = new VirtualEngine();
        var first = engine.Add(prompt: 160, output: 81);
        engine.RunToEnd();
        var next = new Sequence([.. first.Prompt, .. first.Output, 5, 6, 7], [1], FinishReason.Stop);
        engine.Scheduler.Add(next, engine.Now);
        engine.RunToEnd();

        Assert.Equal(240, next.Cached);
    }

    [Fact]
    public void Plan_CacheOverflows_EvictsTheLeastRecentlyUsed()
    {
        var engine = new VirtualEngine(options => (options.KvBlocks, options.MaxModelLen) = (100, 1_600));
        var old = Enumerable.Range(0, 3).Select(i => 3_000_000 + i * 10_000).ToArray();
        foreach (var first in old)
        {
            engine.Add(prompt: 480, output: 1, first: first);
            engine.RunToEnd();
        }
        // 90 of 100 blocks hold prefixes. The first is used again, so that a fourth takes the free 10 and 20 of the second, from its end.
        engine.Add(prompt: 480, output: 1, first: old[0]);
        engine.RunToEnd();
        engine.Add(prompt: 480, output: 1, first: 9_000_000);
        engine.RunToEnd();

        var kept = engine.Add(prompt: 480, output: 1, first: old[0]);
        engine.RunToEnd();
        var evicted = engine.Add(prompt: 480, output: 1, first: old[1]);
        engine.RunToEnd();

        Assert.Equal(464, kept.Cached);
        Assert.InRange(evicted.Cached, 0, 160);
    }

    [Fact]
    public void Plan_BlocksRunOut_PreemptsTheLastAndFinishesAll()
    {
        var engine = new VirtualEngine(options => (options.KvBlocks, options.MaxModelLen) = (20, 320));
        var first = engine.Add(prompt: 100, output: 150);
        var second = engine.Add(prompt: 100, output: 150, first: 3_000_000);

        engine.RunToEnd();

        Assert.Equal(150, first.Emitted);
        Assert.Equal(150, second.Emitted);
        Assert.True(first.LastTokenAt < second.LastTokenAt);
        Assert.DoesNotContain("vllm:num_preemptions_total{engine=\"0\",model_name=\"model\"} 0.0", engine.MetricsText());
        Assert.Equal(20, engine.Scheduler.Blocks.Free);
    }

    [Fact]
    public void Plan_NoFreeBlocks_WaitsUntilThereAre()
    {
        var engine = new VirtualEngine(options => (options.KvBlocks, options.MaxModelLen) = (20, 320));
        var large = engine.Add(prompt: 300, output: 5);
        var waiting = engine.Add(prompt: 200, output: 5, first: 3_000_000);

        engine.Run(3);
        Assert.Equal((1, 1), (engine.Scheduler.Running, engine.Scheduler.Waiting));
        engine.RunToEnd();

        Assert.True(waiting.ScheduledAt >= large.LastTokenAt);
    }

    [Fact]
    public void Abort_RunningSequence_FreesSlotAndBlocksForTheNextStep()
    {
        var engine = new VirtualEngine(options => options.MaxNumSeqs = 1);
        var first = engine.Add(prompt: 160, output: 1_000);
        var second = engine.Add(prompt: 160, output: 2, first: 3_000_000);
        engine.Run(3);

        engine.Scheduler.Abort(first, engine.Now);

        Assert.Equal(engine.Options.KvBlocks, engine.Scheduler.Blocks.Free);
        Assert.Equal(0, engine.Scheduler.Running);
        engine.Run(1);
        Assert.Equal(1, second.Emitted);
        Assert.Contains("finished_reason=\"abort\"} 1.0", engine.MetricsText());
    }

    [Fact]
    public void Abort_WhileItsStepRuns_GivesNoMoreTokens()
    {
        var engine = new VirtualEngine();
        var sequence = engine.Add(prompt: 10, output: 10);
        engine.Run(2);
        Assert.NotNull(engine.Scheduler.Plan(engine.Now));

        engine.Scheduler.Abort(sequence, engine.Now);
        engine.Scheduler.Complete(engine.Now);

        Assert.Equal(2, sequence.Emitted);
        Assert.True(engine.Scheduler.IsIdle);
    }

    [Fact]
    public void Plan_PriorityPolicy_ServesTheLowestFirstAndPreemptsTheHighest()
    {
        var engine = new VirtualEngine(options => (options.SchedulingPolicy, options.MaxNumSeqs) = ("priority", 1));
        engine.Add(10, 5);
        engine.Run(1);
        var background = engine.Add(10, 5, priority: 10, first: 3_000_000);
        var urgent = engine.Add(10, 5, priority: -1, first: 4_000_000);

        engine.RunToEnd();

        Assert.True(urgent.LastTokenAt <= background.ScheduledAt);

        var tight = new VirtualEngine(options => (options.SchedulingPolicy, options.KvBlocks, options.MaxModelLen) = ("priority", 20, 320));
        var low = tight.Add(100, 150, priority: 5);
        var high = tight.Add(100, 150, priority: 0, first: 3_000_000);
        tight.RunToEnd();
        Assert.True(high.LastTokenAt < low.LastTokenAt);
    }

    [Fact]
    public void Run_RandomLoadWithAborts_LosesNoBlockAndNoToken()
    {
        var random = new Random(3);
        var engine = new VirtualEngine(options => (options.KvBlocks, options.MaxModelLen, options.MaxNumSeqs, options.MaxNumBatchedTokens) = (60, 900, 8, 128));
        var sequences = new List<Sequence>();
        for (var step = 0; step < 3_000; step++)
        {
            if (random.Next(6) == 0)
                sequences.Add(engine.Add(random.Next(1, 400), random.Next(0, 200), first: 2_000_000 + random.Next(3) * 1_000));
            if (random.Next(40) == 0 && sequences.Count > 0)
                engine.Scheduler.Abort(sequences[random.Next(sequences.Count)], engine.Now);
            engine.Step();
        }
        engine.RunToEnd();

        Assert.Equal(60, engine.Scheduler.Blocks.Free);
        Assert.All(sequences, sequence => Assert.True(sequence.State == SequenceState.Aborted || sequence.Emitted == sequence.Output.Length));
    }
}
