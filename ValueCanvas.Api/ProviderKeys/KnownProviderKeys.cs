using System.Collections.Concurrent;
using System.Security.Cryptography;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.ProviderKeys;

/// <summary>
/// The tenants' keys in memory, as <see cref="ProviderKeyChanges"/> lets them stand. Most tenants have none, and are never asked for. While
/// the database is away, what is known goes on for <see cref="Trust"/>; a tenant that has keys which are not known is refused then: its
/// requests must not go out in another account's name.
/// </summary>
internal sealed partial class KnownProviderKeys(ProviderKeyStore store, TimeProvider time, ILogger<KnownProviderKeys> logger)
{
    public static readonly TimeSpan Trust = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<Guid, bool> _having = new();
    private readonly ConcurrentDictionary<Guid, IReadOnlyList<ProviderKey>> _known = new();
    private long _answeredAt;
    private volatile bool _heard;
    private volatile bool _away;

    public async ValueTask<IReadOnlyList<ProviderKey>> OfAsync(Guid tenantId, CancellationToken cancellationToken)
    {
        // 1. What is known: that it has none, or which.
        if (_heard && !_having.ContainsKey(tenantId))
            return [];
        if (_known.TryGetValue(tenantId, out var keys) && time.GetElapsedTime(Interlocked.Read(ref _answeredAt)) < Trust)
            return keys;
        if (_away && !_heard)
            return []; // nothing has ever been known here, and nobody can be asked

        // 2. Else the database is asked.
        try
        {
            keys = await store.OpenAsync(tenantId, cancellationToken);
        }
        catch (Exception e) when (!_heard && DatabaseErrors.IsUnavailable(e))
        {
            return [];
        }
        catch (CryptographicException)
        {
            Log.NotOurs(logger, tenantId);
            throw new RequestException(
                StatusCodes.Status503ServiceUnavailable, "Your provider keys cannot be read. Set them again: PUT /api/provider-keys/{provider}.")
            {
                Code = "provider_keys_unreadable",
            };
        }

        if (_having.ContainsKey(tenantId))
            _known[tenantId] = keys;
        return keys;
    }

    /// <summary>These tenants' keys changed, or are heard of for the first time; the others' are as they were at that moment.</summary>
    public void Heard(IEnumerable<Guid> tenants, long asked)
    {
        foreach (var tenant in tenants)
        {
            _having[tenant] = true;
            _known.TryRemove(tenant, out _);
        }

        Interlocked.Exchange(ref _answeredAt, asked);
        (_heard, _away) = (true, false);
    }

    public void Forget(Guid tenantId)
    {
        _having[tenantId] = true;
        _known.TryRemove(tenantId, out _);
    }

    public void Away() => _away = true;

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The provider keys of tenant {TenantId} were not sealed here: is Accounts:SecretKey the one of before?")]
        public static partial void NotOurs(ILogger logger, Guid tenantId);
    }
}
