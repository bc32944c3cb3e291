using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Audit;

/// <summary>Something that belongs into the audit log, as its feature tells it: <c>new("key.created") { Subject = new("api_key", id) }</c>.</summary>
/// <param name="Name">What was done, in the past: <c>feature.verb</c>, lower case. A constant: it is filtered by.</param>
/// <param name="Outcome">Denied where somebody was not allowed to; failure where it did not work.</param>
internal sealed record AuditEvent(string Name, AuditOutcome Outcome = AuditOutcome.Success)
{
    /// <summary>Whom it was done to.</summary>
    public AuditSubject? Subject { get; init; }

    /// <summary>Who did it; by default whoever the request is from.</summary>
    public AuditActor? Actor { get; init; }

    /// <summary>Whose log it belongs to; by default the caller's tenant. In a transaction it must be that of the transaction, or none.</summary>
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
    /// <summary>Nobody has proved who they are.</summary>
    public static readonly AuditActor Anonymous = new("anonymous");

    /// <summary>No request asked for it: a start, a schedule.</summary>
    public static readonly AuditActor System = new("system");

    public static AuditActor User(Guid id) => new("user", id.ToString());

    public static AuditActor ApiKey(string id) => new("api_key", id);

    public static AuditActor Operator(string? id) => new("operator", id);
}

[JsonSerializable(typeof(Dictionary<string, string?>))]
internal sealed partial class AuditDetailsContext : JsonSerializerContext
{
    private const int MostDetails = 16;
    private const int LongestDetail = 200;

    /// <summary>Small, whatever the feature said: a log that callers can make large is one that they can fill.</summary>
    public static string? Write(IReadOnlyList<(string Name, string? Value)> details)
    {
        if (details.Count == 0)
            return null;
        var small = new Dictionary<string, string?>();
        foreach (var (name, value) in details.Take(MostDetails))
            small[name] = Text(value, LongestDetail);
        return JsonSerializer.Serialize(small, Default.DictionaryStringString);
    }

    /// <summary>What PostgreSQL can store, cut to a length.</summary>
    public static string? Text(string? value, int most)
    {
        if (value is null)
            return null;
        value = value.Replace('\0', ' ');
        if (value.Length > most)
            value = value[..(char.IsHighSurrogate(value[most - 1]) ? most - 1 : most)];
        // A lone surrogate is no text.
        return value.Any(char.IsSurrogate) ? string.Concat(value.EnumerateRunes()) : value;
    }
}
