using System.Collections.Concurrent;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>Tokens that were found to hold; never more than <paramref name="capacity"/>.</summary>
internal sealed class RememberedTokens(int capacity)
{
    private readonly ConcurrentDictionary<TokenHash, AccessToken> _tokens = new();
    private readonly Lock _making = new();

    // ConcurrentDictionary's own count takes all of its locks.
    private int _count;

    public AccessToken? Find(TokenHash hash) => _tokens.GetValueOrDefault(hash);

    /// <param name="hash">The token's.</param>
    /// <param name="token">What it grants.</param>
    /// <param name="over">Tokens that expired before this need not be remembered.</param>
    public void Add(TokenHash hash, AccessToken token, DateTimeOffset over)
    {
        if (Volatile.Read(ref _count) >= capacity)
            MakeRoom(over);
        if (_tokens.TryAdd(hash, token))
            Interlocked.Increment(ref _count);
    }

    public void Remove(Func<AccessToken, bool> which)
    {
        foreach (var (hash, token) in _tokens)
        {
            if (which(token) && _tokens.TryRemove(hash, out _))
                Interlocked.Decrement(ref _count);
        }
    }

    // First what is over; if that is little, then half of all: those that will expire first.
    private void MakeRoom(DateTimeOffset over)
    {
        lock (_making)
        {
            if (Volatile.Read(ref _count) < capacity)
                return;
            Remove(token => token.ExpiresAt <= over);
            if (Volatile.Read(ref _count) <= capacity * 3 / 4)
                return;
            var times = _tokens.Values.Select(token => token.ExpiresAt).Order().ToList();
            var median = times.Count > 0 ? times[times.Count / 2] : over;
            Remove(token => token.ExpiresAt <= median);
        }
    }
}
