using System.Globalization;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Policies and charges for tests of the counting itself.</summary>
internal static class LimitTestData
{
    public static LimitPolicy Policy(
        LimitAlgorithm algorithm, long limit, TimeSpan window, double burst = 1,
        LimitUnit unit = LimitUnit.Requests, TokenMode mode = default) =>
        new(algorithm.ToString().ToLowerInvariant(), algorithm, unit, LimitScope.Caller, limit, window) { Burst = burst, Mode = mode };

    public static Charge Charge(LimitPolicy policy, long cost = 1, string prefix = "test", string subject = "one") => new(
        policy, subject, KeyNames.Count(prefix, policy, subject, 0), policy.Limit, (long)(policy.WindowMicros * policy.Burst), cost);

    /// <summary>What a window that has not moved on counts in Redis.</summary>
    public static async Task<long> WindowSumAsync(IDatabase redis, string? key) =>
        (byte[]?)await redis.StringGetAsync(key) is { } kept ? (long)BitConverter.ToDouble(kept) : 0;

    /// <summary>Puts the clock forward that the scripts keep, as far as it goes.</summary>
    public static async Task AdvanceAsync(IDatabase redis, string prefix, long micros)
    {
        if ((string?)await redis.StringGetAsync(KeyNames.Clock(prefix)) is not { } kept)
            return;
        var parts = kept.Split(' ').Select(part => long.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        await redis.StringSetAsync(
            KeyNames.Clock(prefix), string.Create(CultureInfo.InvariantCulture, $"{parts[0]} {parts[1] + micros} {parts[2]}"));
    }
}

/// <summary>What was let through, and when: whether a limit held is counted anew from this, by no code of the limiter's.</summary>
internal sealed class AdmittedLog
{
    private readonly List<(long At, long Amount)> _admitted = [];

    public long Total => _admitted.Sum(entry => entry.Amount);

    public void Add(long at, long amount) => _admitted.Add((at, amount));

    /// <summary>Replaces the latest entry of this time and amount: what was reserved turned out to be less.</summary>
    public void Correct(long at, long amount, long actual)
    {
        _admitted.Remove((at, amount));
        _admitted.Add((at, actual));
        _admitted.Sort();
    }

    /// <summary>No interval holds more than burst + rate × its length.</summary>
    public void AssertBucket(long limit, long window, long burstMicros)
    {
        for (var i = 0; i < _admitted.Count; i++)
        {
            var sum = 0L;
            for (var j = i; j < _admitted.Count; j++)
            {
                sum += _admitted[j].Amount;
                var most = (double)limit * (burstMicros + _admitted[j].At - _admitted[i].At) / window;
                Assert.True(sum <= most + 1e-6, $"{sum} in {_admitted[j].At - _admitted[i].At} us, at most {most}");
            }
        }
    }

    /// <summary>No window of that length, wherever it begins, holds more than the limit.</summary>
    public void AssertRolling(long limit, long window)
    {
        for (var i = 0; i < _admitted.Count; i++)
        {
            var sum = _admitted
                .Where(entry => entry.At >= _admitted[i].At && entry.At < _admitted[i].At + window)
                .Sum(entry => entry.Amount);
            Assert.True(sum <= limit, $"{sum} in one window, at most {limit}");
        }
    }
}
