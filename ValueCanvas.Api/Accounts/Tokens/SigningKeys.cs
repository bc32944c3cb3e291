using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>The signing keys as this instance knows them: read again each minute, and at once for a key that it does not know.</summary>
internal sealed class SigningKeys(SigningKeyStore store, IOptions<TokenOptions> options, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(1);

    // Anybody can name a key that there is not.
    private static readonly TimeSpan BetweenReloads = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _loading = new(1);
    private volatile Known? _known;
    private Failed? _failed;

    /// <summary>The key that signs now.</summary>
    public async ValueTask<SigningKey> CurrentAsync(CancellationToken cancellationToken)
    {
        var keys = await KeysAsync(Fresh, cancellationToken);
        return Signing(keys) ?? Signing(await KeysAsync(BetweenReloads, cancellationToken))
            ?? throw new InvalidOperationException("No key signs at this moment.");
    }

    /// <summary>The key by that id, unless there is none.</summary>
    public async ValueTask<VerificationKey?> FindAsync(string id, CancellationToken cancellationToken) =>
        Find(await KeysAsync(Fresh, cancellationToken), id) ?? Find(await KeysAsync(BetweenReloads, cancellationToken), id);

    /// <summary>What others verify by: also keys that will sign soon.</summary>
    public async ValueTask<IReadOnlyList<PublicJwk>> PublishedAsync(CancellationToken cancellationToken) =>
        [.. Verifying(await KeysAsync(Fresh, cancellationToken)).Select(key => key.Jwk)];

    public void Dispose() => _loading.Dispose();

    private SigningKey? Signing(IReadOnlyList<SigningKey> keys)
    {
        var now = time.GetUtcNow();
        return keys.Where(key => key.ActiveFrom <= now && key.ActiveUntil > now).MaxBy(key => key.ActiveFrom);
    }

    private VerificationKey? Find(IReadOnlyList<SigningKey> keys, string id) =>
        Verifying(keys).FirstOrDefault(key => key.Id == id)?.Verification;

    private IEnumerable<SigningKey> Verifying(IReadOnlyList<SigningKey> keys)
    {
        var over = time.GetUtcNow() - options.Value.Lifetime - (2 * options.Value.ClockSkew);
        return keys.Where(key => key.ActiveUntil > over);
    }

    private async ValueTask<IReadOnlyList<SigningKey>> KeysAsync(TimeSpan maxAge, CancellationToken cancellationToken)
    {
        if (_known is { } known && time.GetElapsedTime(known.At) < maxAge)
            return known.Keys;
        await _loading.WaitAsync(cancellationToken);
        try
        {
            if (_known is { } other && time.GetElapsedTime(other.At) < maxAge)
                return other.Keys;
            return await LoadAsync(cancellationToken);
        }
        finally
        {
            _loading.Release();
        }
    }

    // What is known goes on without the database. Whoever waited for a try that failed does not wait for another one.
    private async Task<IReadOnlyList<SigningKey>> LoadAsync(CancellationToken cancellationToken)
    {
        if (_failed is { } before && time.GetElapsedTime(before.At) < BetweenReloads)
            return _known?.Keys ?? throw new NpgsqlException("The signing keys could not be read a moment ago.", before.Exception);
        var at = time.GetTimestamp();
        try
        {
            _known = new Known(await store.LoadAsync(cancellationToken), at);
            return _known.Keys;
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            _failed = new(exception, time.GetTimestamp());
            if (_known is null)
                throw;
            return _known.Keys;
        }
    }

    private sealed record Failed(Exception Exception, long At);

    private sealed record Known(IReadOnlyList<SigningKey> Keys, long At);
}
