using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Whose access changed: a key's, a session's, a user's, or a user's in one tenant. Each with the moment at which that was first heard of
/// here: what was looked up later has seen the change already.
/// </summary>
internal sealed class ChangedAccess
{
    private readonly Dictionary<Guid, long> _keys = [];
    private readonly HashSet<Guid> _sessions = [];
    private readonly Dictionary<Guid, long> _users = [];
    private readonly Dictionary<(Guid User, Guid Tenant), long> _members = [];

    public bool IsEmpty => _keys.Count + _sessions.Count + _users.Count + _members.Count == 0;

    public void Add(Guid? session, Guid? user, Guid? tenant, Guid? key, long heardAt)
    {
        if (key is { } ofKey)
            Note(_keys, ofKey, heardAt);
        if (session is { } ofSession)
            _sessions.Add(ofSession);
        if (user is { } ofUser && tenant is { } inTenant)
            Note(_members, (ofUser, inTenant), heardAt);
        else if (user is { } everywhere)
            Note(_users, everywhere, heardAt);
    }

    public bool Concern(KnownKey key) =>
        (_keys.TryGetValue(key.Caller.ApiKeyId ?? default, out var heardAt) && key.LookedUpAt <= heardAt)
        || (_users.TryGetValue(key.Caller.HolderId, out heardAt) && key.LookedUpAt <= heardAt)
        || (_members.TryGetValue((key.Caller.HolderId, key.Caller.TenantId), out heardAt) && key.LookedUpAt <= heardAt);

    public bool Concern(AccessToken token) =>
        _sessions.Contains(token.SessionId) || _users.ContainsKey(token.UserId) || _members.ContainsKey((token.UserId, token.TenantId));

    private static void Note<T>(Dictionary<T, long> all, T one, long heardAt) where T : notnull =>
        all[one] = Math.Max(heardAt, all.GetValueOrDefault(one, long.MinValue));
}
