using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>Whose access changed: a key's, a session's, a user's, or a user's in one tenant.</summary>
internal sealed class ChangedAccess
{
    private readonly HashSet<Guid> _keys = [];
    private readonly HashSet<Guid> _sessions = [];
    private readonly HashSet<Guid> _users = [];
    private readonly HashSet<(Guid User, Guid Tenant)> _members = [];

    public bool IsEmpty => _keys.Count + _sessions.Count + _users.Count + _members.Count == 0;

    public void Add(Guid? session, Guid? user, Guid? tenant, Guid? key)
    {
        if (key is { } ofKey)
            _keys.Add(ofKey);
        if (session is { } ofSession)
            _sessions.Add(ofSession);
        if (user is { } ofUser && tenant is { } inTenant)
            _members.Add((ofUser, inTenant));
        else if (user is { } everywhere)
            _users.Add(everywhere);
    }

    public bool Concern(KnownKey key) =>
        _keys.Contains(key.Caller.ApiKeyId ?? default) || OfUser(key.Caller.HolderId, key.Caller.TenantId);

    public bool Concern(AccessToken token) => _sessions.Contains(token.SessionId) || OfUser(token.UserId, token.TenantId);

    private bool OfUser(Guid user, Guid tenant) => _users.Contains(user) || _members.Contains((user, tenant));
}
