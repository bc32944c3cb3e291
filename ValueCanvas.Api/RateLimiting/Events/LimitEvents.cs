using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.RateLimiting.Events;

/// <summary>
/// Counts refusals and near-limits by policy, subject and minute, in bounded memory; <see cref="LimitEventWriter"/> writes them.
/// </summary>
internal sealed class LimitEvents(IOptions<RateLimitingOptions> options, TimeProvider time)
{
    public const string Others = "(others)";
    public const int MaxSamples = 5;

    private const int MaxKeys = 10_000;

    private ConcurrentDictionary<LimitEventKey, LimitEventCounts> _counts = new();

    public void Count(LimitDecision decision, string route, string? model)
    {
        var binding = decision.Binding?.Charge;
        foreach (var reading in decision.Readings)
        {
            if (!reading.Denied && !IsNear(reading))
                continue;
            var now = time.GetUtcNow();
            var minute = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMinute));
            var counts = _counts;
            var key = new LimitEventKey(minute, reading.Charge.Policy.Name, reading.Charge.Subject);
            if (counts.Count >= MaxKeys && !counts.ContainsKey(key))
                key = key with { Subject = Others };
            counts.GetOrAdd(key, _ => new()).Add(
                reading,
                refused: reading.Denied && !reading.Charge.Policy.Shadow && ReferenceEquals(reading.Charge, binding),
                new(
                    now, route, model, reading.Charge.Cost, reading.Charge.Limit,
                    reading.Wait < 0 ? null : reading.Wait / 1000,
                    decision.Counted));
        }
    }

    /// <summary>Whether so much of the limit is used that the next requests may be refused.</summary>
    public bool IsNear(in Reading reading)
    {
        var charge = reading.Charge;
        var most = charge.Policy.Algorithm == Policies.LimitAlgorithm.TokenBucket
            ? (double)charge.Limit * charge.BurstMicros / charge.Policy.WindowMicros
            : charge.Limit;
        return most - reading.Remaining >= most * options.Value.NearLimit;
    }

    /// <summary>All that was counted since the last time.</summary>
    public IReadOnlyCollection<KeyValuePair<LimitEventKey, LimitEventCounts>> Take() =>
        [.. Interlocked.Exchange(ref _counts, new ConcurrentDictionary<LimitEventKey, LimitEventCounts>())];

    /// <summary>What could not be written is counted again, as far as there is room.</summary>
    public void PutBack(IEnumerable<KeyValuePair<LimitEventKey, LimitEventCounts>> taken)
    {
        foreach (var (key, counts) in taken)
            _counts.GetOrAdd(_counts.Count < MaxKeys ? key : key with { Subject = Others }, _ => new()).Add(counts);
    }
}

internal readonly record struct LimitEventKey(DateTimeOffset Minute, string Policy, string Subject);

/// <summary>One of the refusals, so that it can be seen what they were about.</summary>
internal sealed record LimitSample(DateTimeOffset At, string Route, string? Model, long Cost, long Limit, long? RetryAfterMs, bool Redis);

/// <summary>What happened to one subject under one policy in one minute.</summary>
internal sealed class LimitEventCounts
{
    private readonly Lock _gate = new();
    private readonly List<LimitSample> _samples = [];
    private (int Refused, int Shadow, int Near) _counts;

    public (int Refused, int Shadow, int Near, LimitSample[] Samples) Read()
    {
        lock (_gate)
            return (_counts.Refused, _counts.Shadow, _counts.Near, [.. _samples]);
    }

    public void Add(in Reading reading, bool refused, LimitSample sample)
    {
        lock (_gate)
        {
            _counts.Refused += refused ? 1 : 0;
            _counts.Shadow += reading.Denied && reading.Charge.Policy.Shadow ? 1 : 0;
            _counts.Near += reading.Denied ? 0 : 1;
            if (reading.Denied && _samples.Count < LimitEvents.MaxSamples)
                _samples.Add(sample);
        }
    }

    public void Add(LimitEventCounts other)
    {
        var (refused, shadow, near, samples) = other.Read();
        lock (_gate)
        {
            _counts = (_counts.Refused + refused, _counts.Shadow + shadow, _counts.Near + near);
            _samples.AddRange(samples.Take(LimitEvents.MaxSamples - _samples.Count));
        }
    }
}
