using System.Collections.Concurrent;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>API keys that were looked up, by the hash of what was sent; never more than <see cref="Capacity"/>.</summary>
internal sealed class KnownKeys(TimeProvider time)
{
    public const int Capacity = 20_000;

    /// <summary>So long a key goes on without the database, from the last time that it said which keys changed.</summary>
    public static readonly TimeSpan Trust = TimeSpan.FromMinutes(10);

    /// <summary>While the database answers, a key is looked up again after this long, whatever it said of changes.</summary>
    public static readonly TimeSpan Renewal = TimeSpan.FromMinutes(5);

    private const long Never = long.MinValue;

    private readonly ConcurrentDictionary<TokenHash, KnownKey> _keys = new();
    private readonly Lock _making = new();

    // ConcurrentDictionary's own count takes all of its locks.
    private int _count;
    private long _confirmedAt = Never;

    public IEnumerable<KnownKey> All => _keys.Values;

    /// <summary>What is known still holds, whether or not the database answers.</summary>
    public bool AreTrusted => Silence() < Trust;

    /// <summary>Null for a key that must be looked up: it is not known, or what is known of it is too old.</summary>
    public KnownKey? Find(TokenHash hash)
    {
        if (!_keys.TryGetValue(hash, out var known))
            return null;
        // Without the database there is nobody to ask: what it last confirmed goes on for a while.
        return time.GetElapsedTime(known.LookedUpAt) < Renewal || (Silence() > AccessChanges.Silence && IsTrusted(known)) ? known : null;
    }

    /// <summary>For when the database turned out to be away: what still may be believed without it, or null.</summary>
    public KnownKey? FindTrusted(TokenHash hash) => _keys.TryGetValue(hash, out var known) && IsTrusted(known) ? known : null;

    public void Add(TokenHash hash, KnownKey key)
    {
        if (Volatile.Read(ref _count) >= Capacity)
            MakeRoom();
        if (_keys.TryAdd(hash, key))
            Interlocked.Increment(ref _count);
        else
            _keys[hash] = key;
    }

    /// <summary>The database has said what changed up to now, and that has been forgotten: the rest still holds.</summary>
    public void Confirm(long timestamp) => Volatile.Write(ref _confirmedAt, timestamp);

    public void Remove(Func<KnownKey, bool> which)
    {
        foreach (var (hash, key) in _keys)
        {
            if (which(key))
                Remove(hash);
        }
    }

    public void Remove(TokenHash hash)
    {
        if (_keys.TryRemove(hash, out _))
            Interlocked.Decrement(ref _count);
    }

    private bool IsTrusted(KnownKey known) => Silence() < Trust || time.GetElapsedTime(known.LookedUpAt) < Trust;

    private TimeSpan Silence() =>
        Volatile.Read(ref _confirmedAt) is var at && at == Never ? TimeSpan.MaxValue : time.GetElapsedTime(at);

    // The half that was used least lately.
    private void MakeRoom()
    {
        lock (_making)
        {
            if (Volatile.Read(ref _count) < Capacity)
                return;
            var used = _keys.Values.Select(key => key.UsedAt).Order().ToList();
            var median = used.Count > 0 ? used[used.Count / 2] : 0;
            Remove(key => key.UsedAt <= median);
        }
    }
}
