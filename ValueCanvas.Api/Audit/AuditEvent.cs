namespace ValueCanvas.Api.Audit;

/// <summary>
/// Something that belongs into the audit log, as its feature tells it: <c>new("key.created") { Subject = new("api_key", id) }</c>.
/// </summary>
/// <param name="Name">What was done, in the past: <c>feature.verb</c>, lower case. A constant: it is filtered by.</param>
/// <param name="Outcome">Denied where somebody was not allowed to; failure where it did not work.</param>
internal sealed record AuditEvent(string Name, AuditOutcome Outcome = AuditOutcome.Success)
{
    /// <summary>Whom it was done to.</summary>
    public AuditSubject? Subject { get; init; }

    /// <summary>Who did it; by default whoever the request is from.</summary>
    public AuditActor? Actor { get; init; }

    /// <summary>
    /// Whose log it belongs to; by default the caller's tenant. In a transaction it must be that of the transaction, or none.
    /// </summary>
    public Guid? Tenant { get; init; }

    /// <summary>Few and short, such as a reason or a name; no secret, prompt, e-mail address or network address.</summary>
    public IReadOnlyList<(string Name, string? Value)> Details { get; init; } = [];
}

internal enum AuditOutcome
{
    Success,
    Failure,
    Denied,
}

/// <param name="Kind">What it is: <c>canvas</c>, <c>api_key</c>, <c>user</c>.</param>
/// <param name="Id">Its id, as the API shows it.</param>
internal sealed record AuditSubject(string Kind, string Id)
{
    public AuditSubject(string kind, Guid id) : this(kind, id.ToString())
    {
    }
}

/// <param name="Kind">One of the kinds below.</param>
/// <param name="Id">The id of the user or the key.</param>
internal sealed record AuditActor(string Kind, string? Id = null)
{
    public const string UserKind = "user";
    public const string ApiKeyKind = "api_key";

    /// <summary>Nobody has proved who they are.</summary>
    public static readonly AuditActor Anonymous = new("anonymous");

    /// <summary>No request asked for it: a start, a schedule.</summary>
    public static readonly AuditActor System = new("system");

    public static AuditActor User(Guid id) => new(UserKind, id.ToString());

    public static AuditActor ApiKey(Guid id) => new(ApiKeyKind, id.ToString());

    /// <summary>A user or a key that operates the installation.</summary>
    public static AuditActor Operator(string? id) => new("operator", id);
}
