using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>The rows of the table of faults that take many requests.</summary>
public sealed class FaultRunTests
{
    private const int AddedMilliseconds = 250;

    [Fact]
    public async Task Flapping_BetweenFailureAndHealth_OpensProbesAndComesBack()
    {
        var sick = true;
        await using var wall = await FaultWall.StartAsync("flapping",
            context => Volatile.Read(ref sick) ? FailAsync(context) : FaultWall.AnswerAsync(context));
        var (healthy, took) = (await wall.HealthyAsync(), new List<TimeSpan>());

        for (var round = 0; round < 3; round++)
        {
            Volatile.Write(ref sick, true);
            for (var i = 0; i < 3; i++)
                took.Add(await AskAsync(wall, "2"));

            await UntilAsync(wall, "open");
            await AskAsync(wall, "1");
            Volatile.Write(ref sick, false);
            wall.Clock.Advance(TimeSpan.FromSeconds(30));
            await AskAsync(wall, "1");
            await UntilAsync(wall, "half_open");
            await AskAsync(wall, "1");
            await UntilAsync(wall, "closed");
        }

        Assert.Equal(15, wall.PrimaryAsked); // three failures and two probes a round
        var transitions = (await wall.BreakerAsync()).GetProperty("transitions").EnumerateArray().ToArray();
        Assert.Equal(9, transitions.Length);
        Assert.Equal("probes succeeded", transitions[0].GetProperty("reason").GetString());
        Assert.Equal(wall.Clock.GetUtcNow(), transitions[0].GetProperty("at").GetDateTimeOffset());
        AssertAdded(took, healthy);
        FaultTableTests.AssertDocumented(
            "| flapping | whole answers | 2 until open, then 1 | ≤ 250 ms | opens after 3, closes after 2 probes | of who answered |");
    }

    [Fact]
    public async Task ThirtyPercentErrors_OfOneServer_NoClientSeesOneAndTheBreakerStaysClosed()
    {
        var count = 0;
        await using var wall = await FaultWall.StartAsync("30 % errors",
            context => Interlocked.Increment(ref count) % 10 is 1 or 4 or 7 ? FailAsync(context) : FaultWall.AnswerAsync(context));
        var (healthy, took) = (await wall.HealthyAsync(), new List<TimeSpan>());

        for (var i = 1; i <= 60; i++)
        {
            var failed = i % 10 is 1 or 4 or 7;
            var one = await AskAsync(wall, failed ? "2" : "1");
            took.AddRange(failed ? [one] : []);
            wall.Clock.Advance(TimeSpan.FromMilliseconds(300));
        }

        Assert.Equal(60, wall.PrimaryAsked);
        Assert.Equal("closed", (await wall.BreakerAsync()).GetProperty("state").GetString());
        AssertAdded(took, healthy);
        FaultTableTests.AssertDocumented("| 30 % errors | whole answers | 1.3 on average | ≤ 250 ms | stays closed | of who answered |");
    }

    [Fact]
    public async Task Outage_SixtySecondsAndARequestEveryFour_ThePrimaryIsAskedAtMostFourTimes()
    {
        await using var wall = await FaultWall.StartAsync("outage", FailAsync);
        var (healthy, took) = (await wall.HealthyAsync(), new List<TimeSpan>());
        for (var second = 0; second < 60; second += 4)
        {
            var before = wall.PrimaryAsked;
            var outcome = await wall.AskAsync();
            var failed = wall.PrimaryAsked > before;
            Assert.Equal(("whole answer", failed ? "2" : "1", "3+2"), (outcome.Client, outcome.Attempts, outcome.Usage));
            took.AddRange(failed ? [outcome.Took] : []);
            wall.Clock.Advance(TimeSpan.FromSeconds(4));
        }

        Assert.InRange(wall.PrimaryAsked, 3, 4);
        Assert.Equal("open", (await wall.BreakerAsync()).GetProperty("state").GetString());
        AssertAdded(took, healthy);
        FaultTableTests.AssertDocumented(
            "| outage of 60 s, a request every 4 s | whole answers | 2 for at most 4 requests, then 1 | ≤ 250 ms | open | the second's |");
    }

    private static async Task<TimeSpan> AskAsync(FaultWall wall, string attempts)
    {
        var outcome = await wall.AskAsync();
        Assert.Equal(("whole answer", attempts, "3+2"), (outcome.Client, outcome.Attempts, outcome.Usage));
        return outcome.Took;
    }

    private static Task UntilAsync(FaultWall wall, string state) =>
        ProxyHost.UntilAsync(async () => (await wall.BreakerAsync()).GetProperty("state").GetString() == state);

    private static void AssertAdded(List<TimeSpan> took, TimeSpan healthy) =>
        Assert.InRange((took.Order().ElementAt(took.Count / 2) - healthy).TotalMilliseconds, double.MinValue, AddedMilliseconds);

    private static Task FailAsync(HttpContext context)
    {
        context.Response.StatusCode = 500;
        return Task.CompletedTask;
    }
}
