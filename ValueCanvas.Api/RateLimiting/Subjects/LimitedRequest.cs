using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Subjects;

/// <summary>A request as the policies see it. The model is null until, and unless, its body was read.</summary>
internal sealed class LimitedRequest(HttpContext context, SubjectNames names)
{
    private string? _address;

    public string Method => context.Request.Method;

    public PathString Path => context.Request.Path;

    public string? Model { get; set; }

    /// <summary>
    /// Those whom a policy of this scope counts apart, joined; null where the request has no such thing and the policy does not fit.
    /// </summary>
    public string? Subject(LimitScope scope)
    {
        if (scope == LimitScope.Global)
            return "all";
        var subject = "";
        foreach (var part in Parts)
        {
            if (!scope.HasFlag(part))
                continue;
            if (One(part) is not { } name)
                return null;
            subject = subject.Length == 0 ? name : $"{subject}+{name}";
        }

        return subject;
    }

    /// <summary>Everybody that this request can be said to be of.</summary>
    public IEnumerable<string> All() => Parts.Where(part => part != LimitScope.Caller).Select(One).OfType<string>();

    private static readonly LimitScope[] Parts =
    [
        LimitScope.Caller, LimitScope.User, LimitScope.ApiKey, LimitScope.Tenant, LimitScope.Ip, LimitScope.Model, LimitScope.Route,
    ];

    private string? One(LimitScope part)
    {
        var caller = Authentication.Caller.Find(context);
        return part switch
        {
            LimitScope.Caller => One(LimitScope.ApiKey) ?? One(LimitScope.User) ?? One(LimitScope.Ip),
            LimitScope.User => caller?.UserId is { } id ? SubjectNames.User(id) : null,
            LimitScope.ApiKey => caller?.ApiKeyId is { } id ? SubjectNames.Key(id) : null,
            LimitScope.Tenant => caller is null ? null : SubjectNames.Tenant(caller.TenantId),
            LimitScope.Ip => _address ??= names.Ip(context.Connection.RemoteIpAddress),
            LimitScope.Model => Model is null ? null : SubjectNames.Model(Model),
            _ => context.GetEndpoint() is RouteEndpoint { RoutePattern.RawText: { } text }
                ? SubjectNames.Route(Method, Slashed(text))
                : null,
        };
    }

    private static string Slashed(string pattern) => pattern.StartsWith('/') ? pattern : "/" + pattern;
}
