using System.Collections.Concurrent;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>Well-formed keys that the database did not know a moment ago: two generations, each of a bounded number and time.</summary>
internal sealed class UnknownKeys(TimeProvider time)
{
    private const int Capacity = 8192;
    private static readonly TimeSpan Generation = TimeSpan.FromSeconds(5);

    private readonly Lock _turning = new();
    private volatile ConcurrentDictionary<TokenHash, bool> _young = new();
    private volatile ConcurrentDictionary<TokenHash, bool> _old = new();
    private long _turnedAt = time.GetTimestamp();
    private int _count;

    public bool Contains(TokenHash hash)
    {
        Turn();
        return _young.ContainsKey(hash) || _old.ContainsKey(hash);
    }

    public void Add(TokenHash hash)
    {
        Turn();
        if (_young.TryAdd(hash, true))
            Interlocked.Increment(ref _count);
    }

    private void Turn()
    {
        if (time.GetElapsedTime(Volatile.Read(ref _turnedAt)) < Generation && Volatile.Read(ref _count) < Capacity)
            return;
        lock (_turning)
        {
            var age = time.GetElapsedTime(_turnedAt);
            if (age < Generation && _count < Capacity)
                return;
            // After a pause both are too old.
            _old = age < 2 * Generation ? _young : new();
            _young = new();
            _count = 0;
            Volatile.Write(ref _turnedAt, time.GetTimestamp());
        }
    }
}
