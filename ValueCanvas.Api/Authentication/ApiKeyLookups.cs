using System.Collections.Concurrent;
using Npgsql;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>Finds out whom an API key stands for: from memory, and else from PostgreSQL, once for all who ask at the same time.</summary>
/// <remarks>
/// What cannot be a key costs no question, and what was unknown a moment ago none either. Never more than <see cref="AtOnce"/> questions
/// are under way, so that made-up keys take no more of the database than that.
/// </remarks>
internal sealed class ApiKeyLookups(
    NpgsqlDataSource dataSource, ApiKeyHasher hasher, KnownKeys known, FirstStart firstStart, TimeProvider time)
    : IDisposable
{
    private const int AtOnce = 4;
    private const int MaxWaiting = 256;

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<TokenHash, Lazy<Task<KnownKey?>>> _underWay = new();
    private readonly UnknownKeys _unknown = new(time);
    private readonly SemaphoreSlim _gate = new(AtOnce, AtOnce);
    private int _waiting;

    /// <summary>Null for a key that must be looked up.</summary>
    public Caller? FindKnown(string text) => known.Find(TokenHash.Of(text)) is { } key ? Use(key) : null;

    /// <summary>Null for a key that there is not.</summary>
    /// <exception cref="RequestException">503: the database is away, or too many keys are being looked up.</exception>
    public ValueTask<Caller?> FindAsync(string text, CancellationToken cancellationToken)
    {
        var hash = TokenHash.Of(text);
        return known.Find(hash) is { } key ? ValueTask.FromResult(Use(key)) : LookUpAsync(text, hash, cancellationToken);
    }

    public void Dispose() => _gate.Dispose();

    private Caller? Use(KnownKey key)
    {
        var now = time.GetUtcNow();
        if (key.ExpiresAt <= now)
            return null;
        key.Use(now);
        return key.Caller;
    }

    private async ValueTask<Caller?> LookUpAsync(string text, TokenHash hash, CancellationToken cancellationToken)
    {
        if (!MayBeKey(text) || _unknown.Contains(hash))
            return null;
        try
        {
            var asking = _underWay.GetOrAdd(hash, _ => new(() => AskAsync(text, hash)));
            return await asking.Value.WaitAsync(Bound, time, cancellationToken) is { } found ? Use(found) : null;
        }
        catch (Exception exception) when (exception is TimeoutException || DatabaseErrors.IsUnavailable(exception))
        {
            return known.FindTrusted(hash) is { } trusted ? Use(trusted) : throw Away();
        }
    }

    // Another form has only the key of the configuration, which this instance knows too.
    private bool MayBeKey(string text) => ApiKeyText.IsWellFormed(text) || firstStart.IsConfiguredKey(text);


    private async Task<KnownKey?> AskAsync(string text, TokenHash hash)
    {
        try
        {
            await EnterAsync();
            try
            {
                // A key that the first start has still to make is not wrong, only not there yet.
                var isAwaited = !firstStart.IsDone && firstStart.IsConfiguredKey(text);
                var found = await ReadAsync(text);
                if (found is not null)
                    known.Add(hash, found);
                else if (isAwaited)
                    throw Away();
                else
                    _unknown.Add(hash);
                return found;
            }
            finally
            {
                _gate.Release();
            }
        }
        finally
        {
            _underWay.TryRemove(hash, out _);
        }
    }

    private async Task EnterAsync()
    {
        try
        {
            if (Interlocked.Increment(ref _waiting) > MaxWaiting || !await _gate.WaitAsync(Bound))
                throw Away();
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private async Task<KnownKey?> ReadAsync(string text)
    {
        var at = time.GetTimestamp();
        await using var command = dataSource.CreateCommand(
            "SELECT key_id, tenant_id, created_by, role, is_operator, scopes, models, expires_at FROM find_api_key($1)");
        command.Parameters.Add(new() { Value = hasher.Hash(text) });
        await using var reader = await command.ExecuteReaderAsync();
        if (!await reader.ReadAsync())
            return null;
        DateTimeOffset? expires = await reader.IsDBNullAsync(7) ? null : reader.GetFieldValue<DateTimeOffset>(7);
        var caller = new Caller(reader.GetGuid(1), Roles.Parse(reader.GetString(3)), CredentialKind.ApiKey)
        {
            ApiKeyId = reader.GetGuid(0),
            HolderId = reader.GetGuid(2),
            IsOperator = reader.GetBoolean(4),
            Scopes = reader.GetFieldValue<string[]>(5).ToHashSet(StringComparer.Ordinal),
            Models = await reader.IsDBNullAsync(6) ? null : new ModelAllowList(reader.GetFieldValue<string[]>(6)),
            ExpiresAt = expires,
        };
        return new KnownKey(caller, expires, at);
    }

    private static RequestException Away() => new(
        StatusCodes.Status503ServiceUnavailable,
        "The key cannot be checked at the moment: the database is away or busy. Try again shortly.")
    {
        Code = "authentication_unavailable",
        RetryAfter = RetryAfter,
    };
}
