using System.Collections.Concurrent;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>
/// Whatever the arrival times, every window of a policy's length is looked at, wherever it begins, and holds no more than the limit.
/// </summary>
public sealed class RollingWindowTests(ServersFixture servers)
{
    private const int Limit = 20;

    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(300);
    private static readonly LimitAlgorithm[] Algorithms =
        [LimitAlgorithm.TokenBucket, LimitAlgorithm.SlidingWindow, LimitAlgorithm.FixedWindow];

    [Fact]
    public async Task Redis_RandomArrivalsAtSeveralInstances_NoWindowHoldsMoreThanTheLimit()
    {
        var prefix = $"rolling-{Guid.NewGuid():N}";
        var policies = Algorithms.Select(algorithm => LimitTestData.Policy(algorithm, Limit, Window)).ToArray();
        var logs = policies.ToDictionary(policy => policy, _ => new ConcurrentBag<(long At, long Amount)>());
        var connections = new List<RedisConnection>();
        try
        {
            for (var i = 0; i < 3; i++)
                connections.Add(await RedisConnection.OpenAsync(servers.Redis));
            await Task.WhenAll(connections.SelectMany((connection, i) =>
            {
                var batches = new ChargeBatches(connection.Multiplexer, KeyNames.Clock(prefix));
                return Enumerable.Range(0, 4).Select(client => AskAsync(batches, new Random(4 * i + client)));
            }));
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }

        foreach (var (policy, admitted) in logs)
            Check(policy, admitted.Order());

        bool IsShort(long since) =>
            since < 100 * policies[0].WindowMicros && logs.Values.Any(log => log.Sum(admitted => admitted.Amount) < 2 * Limit);

        async Task AskAsync(ChargeBatches batches, Random random)
        {
            // Five windows of Redis' own time, in bursts and pauses; more on a machine that stood still, until enough was admitted.
            for (long started = 0, now = 0; now - started < 5 * policies[0].WindowMicros || IsShort(now - started);)
            {
                if (random.Next(4) == 0)
                    await FleetLoad.RunAsync(random.Next(1, 60) / 1000.0);
                var cost = random.Next(1, 4);
                var answers = await Task.WhenAll(policies.Select(policy => batches.AskAsync(
                    new([LimitTestData.Charge(policy, cost, prefix)], $"{random.Next():x}", 30_000_000, [0], IsAdmitted: false))));
                now = answers[0].Said.Time;
                started = started == 0 ? now : started;
                foreach (var (policy, answer) in policies.Zip(answers).Where(pair => pair.Second.Decision.Allowed))
                    logs[policy].Add((answer.Said.Time, cost));
            }
        }
    }

    [Fact]
    public async Task Memory_RandomArrivals_NoWindowHoldsMoreThanTheLimit()
    {
        foreach (var policy in Algorithms.Select(algorithm => LimitTestData.Policy(algorithm, Limit, Window)))
        {
            for (var seed = 0; seed < 20; seed++)
            {
                var (random, clock) = (new Random(seed), new SteppedClock());
                await using var instance = await LimiterInstance.StartAsync(null, new(), clock);
                List<(long At, long Amount)> admitted = [];
                for (var step = 0; step < 300; step++)
                {
                    if (random.Next(3) == 0)
                        clock.Advance(TimeSpan.FromMicroseconds(random.Next(1, (int)policy.WindowMicros / random.Next(1, 40))));
                    var cost = random.Next(1, 4);
                    if ((await instance.AskAsync(LimitTestData.Charge(policy, cost))).Allowed)
                        admitted.Add((instance.Local.Now, cost));
                }

                Check(policy, admitted);
            }
        }
    }

    private static void Check(LimitPolicy policy, IEnumerable<(long At, long Amount)> admitted)
    {
        var log = new AdmittedLog();
        foreach (var (at, amount) in admitted)
            log.Add(at, amount);
        // It was asked for much more than once.
        Assert.InRange(log.Total, 2 * Limit, long.MaxValue);
        if (policy.Algorithm == LimitAlgorithm.TokenBucket)
            log.AssertBucket(Limit, policy.WindowMicros, policy.WindowMicros);
        else
            log.AssertRolling(Limit, policy.WindowMicros);
    }
}
