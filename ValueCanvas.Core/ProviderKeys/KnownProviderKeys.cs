using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.ProviderKeys;

/// <summary>
/// The tenants' keys in memory, as <see cref="ProviderKeyChanges"/> lets them stand. Most tenants have none, and are never asked for. While
/// the database is away, what is known goes on for <see cref="Trust"/>; a tenant that has keys which are not known is refused then: its
/// requests must not go out in another account's name.
/// </summary>
public sealed partial class KnownProviderKeys(SealedProviderKeys store, TimeProvider time, ILogger<KnownProviderKeys> logger)
{
    /// <summary>So long what is known goes on without the database.</summary>
    public static readonly TimeSpan Trust = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<Guid, bool> _having = new();
    private readonly ConcurrentDictionary<Guid, IReadOnlyList<ProviderKey>> _known = new();
    private long _answeredAt;
    private volatile bool _heard;
    private volatile bool _away;

    /// <summary>It is known which tenants have any.</summary>
    public bool HasHeard => _heard;

    /// <summary>The tenant's keys; none for most.</summary>
    /// <exception cref="InferenceException">They cannot be opened here.</exception>
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
            throw new InferenceException(
                InferenceFailure.KeysUnreadable, "Your provider keys cannot be read. Set them again: PUT /api/provider-keys/{provider}.");
        }

        if (_having.ContainsKey(tenantId))
            _known[tenantId] = keys;
        return keys;
    }

    /// <summary>These tenants' keys changed, or are heard of for the first time; the others' are as they were at that moment.</summary>
    internal void Heard(IEnumerable<Guid> tenants, long asked)
    {
        foreach (var tenant in tenants)
        {
            _having[tenant] = true;
            _known.TryRemove(tenant, out _);
        }

        Interlocked.Exchange(ref _answeredAt, asked);
        (_heard, _away) = (true, false);
    }

    /// <summary>They are read anew when they are needed next.</summary>
    public void Forget(Guid tenantId)
    {
        _having[tenantId] = true;
        _known.TryRemove(tenantId, out _);
    }

    /// <summary>The database does not say what changed.</summary>
    internal void Away() => _away = true;

    private static partial class Log
    {
        [LoggerMessage(
            LogLevel.Error, "The provider keys of tenant {TenantId} were not sealed here: is Accounts:SecretKey the one of before?")]
        public static partial void NotOurs(ILogger logger, Guid tenantId);
    }
}
