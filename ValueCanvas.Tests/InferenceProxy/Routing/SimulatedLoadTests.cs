using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

/// <summary>Four simulated servers at a load at which their caches overflow, routed by the product's own picker.</summary>
public sealed class SimulatedLoadTests
{
    private const int Servers = 4;

    // 64,000 tokens in each cache; the conversations below need some 230,000 and the instructions are shared by many of them.
    private const int KvBlocks = 4000;

    [Theory]
    [InlineData(RoutingOptions.RoundRobin)]
    [InlineData(RoutingOptions.LeastLoad)]
    public void SharedPrefixes_PrefixAware_HitsTheCachesAndAnswersSooner(string other)
    {
        var (aware, unaware) = (Chat(RoutingOptions.PrefixAware), Chat(other));

        Report("chat", RoutingOptions.PrefixAware, aware);
        Report("chat", other, unaware);
        Assert.True(aware.HitRate >= 0.85, $"hit rate {aware.HitRate:0.000}");
        Assert.True(aware.HitRate >= unaware.HitRate + 0.2, $"hit rates {aware.HitRate:0.000} and {unaware.HitRate:0.000}");
        Assert.True(2 * aware.FirstToken(0.5) <= unaware.FirstToken(
            0.5), $"TTFT p50 {aware.FirstToken(0.5)} and {unaware.FirstToken(0.5)}");
        Assert.True(aware.FirstToken(0.9) <= unaware.FirstToken(0.9), $"TTFT p90 {aware.FirstToken(0.9)} and {unaware.FirstToken(0.9)}");
        Assert.True(aware.TokensPerSecond >= unaware.TokensPerSecond,
            $"tokens/s {aware.TokensPerSecond:0} and {unaware.TokensPerSecond:0}");
    }

    [Fact]
    public void NoReuse_PrefixAware_CostsNothing()
    {
        var (aware, roundRobin) = (Unrelated(RoutingOptions.PrefixAware), Unrelated(RoutingOptions.RoundRobin));

        Report("no reuse", RoutingOptions.PrefixAware, aware);
        Report("no reuse", RoutingOptions.RoundRobin, roundRobin);
        Assert.True(aware.TokensPerSecond >= 0.97 * roundRobin.TokensPerSecond);
        Assert.True(0.97 * aware.FirstToken(0.5) <= roundRobin.FirstToken(0.5));
        Assert.True(0.97 * aware.FirstToken(0.9) <= roundRobin.FirstToken(0.9));
    }

    [Fact]
    public void OneHotPrefix_PrefixAware_SpreadsOverAllServers()
    {
        // Everybody asks about the same document: the server that has it must not get all the work.
        var fleet = new SimulatedFleet(RoutingOptions.PrefixAware, Servers, KvBlocks);
        var random = new Random(3);
        var document = Text(random, 4000);
        for (var i = 0; i < 2000; i++)
            fleet.Ask(TimeSpan.FromMilliseconds(4 * i), [document, Text(random, 40)], Text(random, 200));

        fleet.RunToEnd();

        Report("hot prefix", RoutingOptions.PrefixAware, fleet);
        Assert.True(fleet.HitRate >= 0.9, $"hit rate {fleet.HitRate:0.000}");
        Assert.True(fleet.FirstToken(0.9) < TimeSpan.FromMilliseconds(100), $"TTFT p90 {fleet.FirstToken(0.9)}");
    }

    // 100 conversations of ten turns; ten sets of instructions of 1,000 tokens; a turn adds 250 tokens.
    private static SimulatedFleet Chat(string policy)
    {
        var fleet = new SimulatedFleet(policy, Servers, KvBlocks);
        var random = new Random(1);
        var instructions = Enumerable.Range(0, 10).Select(_ => Text(random, 1000)).ToArray();
        for (var i = 0; i < 100; i++)
        {
            List<string> messages = [instructions[i % instructions.Length]];
            var seed = new Random(1000 + i);
            Turn(messages, seed, turns: 10, TimeSpan.FromSeconds(seed.NextDouble() * 2));
        }

        fleet.RunToEnd();
        return fleet;

        void Turn(List<string> messages, Random seed, int turns, TimeSpan at)
        {
            messages.Add(Text(seed, 150));
            var answer = Text(seed, 100);
            fleet.Ask(at, [.. messages], answer, () =>
            {
                messages.Add(answer);
                if (turns > 1)
                    Turn(messages, seed, turns - 1, fleet.Now + TimeSpan.FromSeconds(seed.NextDouble() * 2));
            });
        }
    }

    private static SimulatedFleet Unrelated(string policy)
    {
        var fleet = new SimulatedFleet(policy, Servers, KvBlocks);
        var random = new Random(2);
        var at = TimeSpan.Zero;
        for (var i = 0; i < 2000; i++)
        {
            at -= TimeSpan.FromSeconds(Math.Log(1 - random.NextDouble()) / 90);
            fleet.Ask(at, [Text(random, 200 + random.Next(2000)), Text(random, 50)], Text(random, 20 + random.Next(200)));
        }

        fleet.RunToEnd();
        return fleet;
    }

    /// <summary>Four characters for each token.</summary>
    private static string Text(Random random, int tokens) => random.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 4 * tokens);

    private static void Report(string load, string policy, SimulatedFleet fleet) => TestContext.Current.TestOutputHelper?.WriteLine(
        $"{load}, {policy}: hit rate {fleet.HitRate:0.000}, TTFT p50 {fleet.FirstToken(0.5).TotalMilliseconds:0.0} ms, "
        + $"p90 {fleet.FirstToken(0.9).TotalMilliseconds:0.0} ms, {fleet.TokensPerSecond:0} tokens/s");
}
