using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>What a new key may do: never more than whoever makes it.</summary>
internal sealed record KeyGrant(string[] Scopes, string[]? Models, DateTimeOffset? ExpiresAt)
{
    /// <exception cref="RequestException">403: more is wanted than the caller has.</exception>
    public static KeyGrant For(Caller caller, ApiKeyBody wanted, string[] usualScopes)
    {
        var scopes = wanted.Scopes?.Select(scope => scope!).Distinct().Order(StringComparer.Ordinal).ToArray()
            ?? [.. usualScopes.Where(caller.Scopes.Contains)];
        if (scopes.Length == 0)
            throw RequestException.Invalid("scopes", "is required: this key has none of those that a key has otherwise");
        if (Array.Find(scopes, scope => !caller.Scopes.Contains(scope)) is { } beyond)
            throw Refusals.Scope(beyond);
        if (scopes.Contains(Authentication.Scopes.Admin) && !caller.IsOperator)
            throw Refusals.Operator();

        var models = wanted.Models?.Select(model => model!).Distinct().ToArray() ?? caller.Models?.Names.ToArray();
        if (caller.Models is { } allowed)
        {
            foreach (var model in models!)
                allowed.Check(model);
        }

        if (caller.ExpiresAt is { } end && wanted.ExpiresAt > end)
            throw RequestException.Invalid("expiresAt", "must not be later than the end of the key that makes it");
        return new(scopes, models, wanted.ExpiresAt ?? caller.ExpiresAt);
    }

    /// <summary>Who rotates a key gets it: it must be their own, and hold no more than what they come with.</summary>
    /// <exception cref="RequestException">403.</exception>
    public static void CheckMayHave(Caller caller, ApiKeyRow row)
    {
        if (row.CreatedBy != caller.HolderId)
        {
            throw new RequestException(
                StatusCodes.Status403Forbidden, "Only who made a key can rotate it: it has that user's rights. Delete it, and make another.")
            {
                Code = "not_your_key",
            };
        }

        if (Array.Find(row.Scopes, scope => !caller.Scopes.Contains(scope)) is { } beyond)
            throw Refusals.Scope(beyond);
        if (caller.Models is not { } allowed)
            return;
        foreach (var model in row.Models ?? ["*"])
            allowed.Check(model);
    }
}
