namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Tries counted in this instance alone, while Redis is away. Bounded: with too many keys the oldest are forgotten.</summary>
internal sealed class LocalTries(TimeProvider time)
{
    private const int MaxKeys = 20_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Count> _counts = [];

    /// <summary>Zero where the try may be made, and is counted; else how long it has to wait.</summary>
    public TimeSpan Begin(Tries tries)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            var pair = Find(tries.Pair, now);
            var wait = pair is { } known ? known.At + tries.Delay(known.Number) - now : TimeSpan.Zero;
            foreach (var window in tries.Windows)
            {
                if (window.Binds && Find(window.Key, now) is { } counted && counted.Number >= window.Limit && counted.Until - now > wait)
                    wait = counted.Until - now;
            }

            if (wait > TimeSpan.Zero)
                return wait;
            MakeRoom(now);
            _counts[tries.Pair] = new((pair?.Number ?? 0) + 1, now, now + tries.Memory);
            foreach (var window in tries.Windows)
            {
                _counts[window.Key] = Find(window.Key, now) is { } counted
                    ? counted with { Number = counted.Number + 1 }
                    : new(1, now, now + window.Length);
            }

            return TimeSpan.Zero;
        }
    }

    /// <summary>Takes a try back that was none: the password was right.</summary>
    public void TakeBack(Tries tries)
    {
        lock (_gate)
        {
            _counts.Remove(tries.Pair);
            foreach (var window in tries.Windows)
            {
                if (_counts.TryGetValue(window.Key, out var counted) && counted.Number > 0)
                    _counts[window.Key] = counted with { Number = counted.Number - 1 };
            }
        }
    }

    private Count? Find(string key, DateTimeOffset now) => _counts.TryGetValue(key, out var count) && count.Until > now ? count : null;

    private void MakeRoom(DateTimeOffset now)
    {
        if (_counts.Count < MaxKeys)
            return;
        foreach (var key in _counts.Where(pair => pair.Value.Until <= now).Select(pair => pair.Key).ToList())
            _counts.Remove(key);
        var tooMany = Math.Max(0, _counts.Count - (MaxKeys / 2));
        foreach (var key in _counts.OrderBy(pair => pair.Value.At).Select(pair => pair.Key).Take(tooMany).ToList())
            _counts.Remove(key);
    }

    private readonly record struct Count(int Number, DateTimeOffset At, DateTimeOffset Until);
}
