using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Authentication;

/// <summary>On whose behalf a request runs; an endpoint asks for it as a parameter.</summary>
/// <param name="TenantId">Whose rows it sees.</param>
/// <param name="Role">What it may do in this tenant.</param>
/// <param name="Credential">What it was recognised by.</param>
internal sealed record Caller(Guid TenantId, Role Role, CredentialKind Credential)
{
    /// <summary>Null for an API key.</summary>
    public Guid? UserId { get; init; }

    /// <summary>The user whose rights these are: the user itself, or whoever made the key.</summary>
    public required Guid HolderId { get; init; }

    /// <summary>Null for a user.</summary>
    public Guid? ApiKeyId { get; init; }

    /// <summary>The sign-in that an access token or a cookie belongs to; null for an API key.</summary>
    public Guid? SessionId { get; init; }

    /// <summary>When an API key ends by itself; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>What it was given for: <see cref="Authentication.Scopes"/>.</summary>
    public IReadOnlySet<string> Scopes { get; init; } = Authentication.Scopes.All;

    /// <summary>The models that it may ask; null: all.</summary>
    public ModelAllowList? Models { get; init; }

    /// <summary>Operates the installation, beyond its tenant.</summary>
    public bool IsOperator { get; init; }

    /// <summary>Signed in with a password that somebody else knows: may do nothing but change it.</summary>
    public bool MustChangePassword { get; init; }

    /// <summary>Whoever made the request; the middleware refuses requests that nobody made, unless the endpoint is open to all.</summary>
    /// <exception cref="RequestException">401: an open endpoint asked who calls, and nobody says.</exception>
    public static Caller Of(HttpContext context) => Find(context) ?? throw Refusals.SignIn();

    /// <summary>A call of a model on this caller's behalf.</summary>
    public InferenceCall Call(string route, CacheControl? cache = null) => new(TenantId)
    {
        UserId = UserId,
        ApiKeyId = ApiKeyId,
        Route = route,
        Cache = cache ?? CacheControl.Never,
    };

    /// <summary>Null where an open endpoint was called without credentials.</summary>
    public static Caller? Find(HttpContext context) => context.Features.Get<Caller>();

    public static ValueTask<Caller?> BindAsync(HttpContext context) => ValueTask.FromResult<Caller?>(Of(context));
}

internal enum CredentialKind
{
    ApiKey,
    AccessToken,

    /// <summary>A cookie, which browsers send along by themselves: what changes something needs proof that a page of ours asked.</summary>
    Session,
}
