using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>What a key may do that somebody gets: never more, for longer or at a higher price than what they come with.</summary>
internal sealed record KeyGrant(string[] Scopes, string[]? Models, DateTimeOffset? ExpiresAt)
{
    /// <summary>For a new key.</summary>
    /// <param name="caller">Who makes it.</param>
    /// <param name="own">The key that calls; null for a person.</param>
    /// <param name="wanted">What it is to be.</param>
    /// <param name="usualScopes">Where it says nothing of scopes.</param>
    /// <exception cref="RequestException">403: more is wanted than the caller has.</exception>
    public static KeyGrant For(Caller caller, ApiKeyRow? own, ApiKeyBody wanted, string[] usualScopes)
    {
        var scopes = wanted.Scopes?.Select(scope => scope!).Distinct().Order(StringComparer.Ordinal).ToArray()
            ?? [.. usualScopes.Where(caller.Scopes.Contains)];
        if (scopes.Length == 0)
            throw RequestException.Invalid("scopes", "is required: this key has none of those that a key has otherwise");
        CheckScopes(caller, scopes);
        if (scopes.Contains(Authentication.Scopes.Admin) && !caller.IsOperator)
            throw Refusals.Operator();

        var models = wanted.Models?.Select(model => model!).Distinct().ToArray() ?? caller.Models?.Names.ToArray();
        CheckModels(caller, models);
        CheckBudget(own);
        if (caller.ExpiresAt is { } end && wanted.ExpiresAt > end)
            throw RequestException.Invalid("expiresAt", "must not be later than the end of the key that makes it");
        return new(scopes, models, wanted.ExpiresAt ?? caller.ExpiresAt);
    }

    /// <summary>For who rotates a key, and so gets it: it must be their own.</summary>
    /// <exception cref="RequestException">403.</exception>
    public static void CheckMayHave(Caller caller, ApiKeyRow? own, ApiKeyRow row)
    {
        if (row.CreatedBy != caller.HolderId)
            throw Forbidden("not_your_key", "Only who made a key can rotate it: it has that user's rights. Delete it, and make another.");
        CheckScopes(caller, row.Scopes);
        CheckModels(caller, row.Models);
        if (row.Id != own?.Id)
            CheckBudget(own);
        // Also the secret of before a rotation: whoever it was rotated away from must not rotate it back.
        if (caller.ExpiresAt is { } end && (row.ExpiresAt is null || row.ExpiresAt > end))
        {
            throw Forbidden(
                "key_ends_sooner", "This key, or this secret of it, ends before the one to be rotated would. Use another, or sign in.");
        }
    }

    private static void CheckScopes(Caller caller, string[] scopes)
    {
        if (Array.Find(scopes, scope => !caller.Scopes.Contains(scope)) is { } beyond)
            throw Refusals.Scope(beyond);
    }

    private static void CheckModels(Caller caller, string[]? models)
    {
        if (caller.Models is not { } allowed)
            return;
        foreach (var model in models ?? ["*"])
            allowed.Check(model);
    }

    // Each key has a budget to itself, so further keys would be a way around this one's.
    private static void CheckBudget(ApiKeyRow? own)
    {
        if (own?.BudgetAmount is not null)
            throw Forbidden("key_has_budget", "A key with a budget can make and rotate no other. Use one without, or sign in.");
    }

    private static RequestException Forbidden(string code, string message) => new(StatusCodes.Status403Forbidden, message) { Code = code };
}
