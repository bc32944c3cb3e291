using System.Buffers;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>Turns a policy as it is written into one that can be applied, or says what is wrong with it, by field.</summary>
internal static class PolicyReader
{
    public const long MaxLimit = 1_000_000_000_000;

    private const int MaxName = 64;
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");
    private static readonly TimeSpan MaxWindow = TimeSpan.FromDays(32);

    private static readonly Dictionary<string, LimitAlgorithm> Algorithms = new()
    {
        ["token_bucket"] = LimitAlgorithm.TokenBucket,
        ["sliding_window"] = LimitAlgorithm.SlidingWindow,
        ["fixed_window"] = LimitAlgorithm.FixedWindow,
        ["concurrency"] = LimitAlgorithm.Concurrency,
    };

    private static readonly Dictionary<string, LimitUnit> Units = new()
    {
        ["requests"] = LimitUnit.Requests,
        ["tokens"] = LimitUnit.Tokens,
    };

    private static readonly Dictionary<string, TokenMode> Modes = new()
    {
        ["estimate"] = TokenMode.Estimate,
        ["strict"] = TokenMode.Strict,
    };

    private static readonly Dictionary<string, WithoutRedis> Fallbacks = new()
    {
        ["degraded"] = WithoutRedis.Degraded,
        ["open"] = WithoutRedis.Open,
        ["closed"] = WithoutRedis.Closed,
    };

    private static readonly Dictionary<string, LimitScope> Scopes = new()
    {
        ["global"] = LimitScope.Global,
        ["caller"] = LimitScope.Caller,
        ["user"] = LimitScope.User,
        ["api_key"] = LimitScope.ApiKey,
        ["tenant"] = LimitScope.Tenant,
        ["ip"] = LimitScope.Ip,
        ["model"] = LimitScope.Model,
        ["route"] = LimitScope.Route,
    };

    /// <param name="name">The policy's.</param>
    /// <param name="options">As written.</param>
    /// <param name="subjects">Knows how an address is kept.</param>
    /// <param name="problem">Called with the field and what is wrong with it, for each problem.</param>
    /// <returns>Null where there was a problem.</returns>
    public static LimitPolicy? Read(string name, PolicyOptions options, SubjectNames subjects, Action<string, string> problem)
    {
        var ok = true;
        Check(name.Length is > 0 and <= MaxName && !name.AsSpan().ContainsAnyExcept(NameCharacters), "name",
            $"must be 1 to {MaxName} lower-case letters, digits, '_', '-' or '.'");
        var algorithm = Word(Algorithms, options.Algorithm, "algorithm");
        var unit = Word(Units, options.Unit, "unit");
        var mode = Word(Modes, options.Mode, "mode");
        var fallback = Word(Fallbacks, options.WithoutRedis, "withoutRedis");
        var scope = LimitScope.Global;
        foreach (var part in (options.Scope ?? "").Split('+', StringSplitOptions.TrimEntries))
            scope |= Word(Scopes, part, "scope");

        Check(options.Limit is >= 0 and <= MaxLimit, "limit", $"must be between 0 and {MaxLimit}");
        Check(options.Window >= TimeSpan.FromSeconds(1) && options.Window <= MaxWindow, "window", "must be between one second and 32 days");
        Check(options.Burst is >= 1 and <= 1000, "burst", "must be between 1 and 1000");
        Check(options.Burst == 1 || algorithm == LimitAlgorithm.TokenBucket, "burst", "is for token_bucket alone");
        Check(unit == LimitUnit.Requests || algorithm != LimitAlgorithm.Concurrency, "unit", "must be requests with concurrency");
        Check(options.MaxWait is null || (options.MaxWait >= TimeSpan.Zero && options.MaxWait <= TimeSpan.FromSeconds(30)), "maxWait",
            "must be between nothing and 30 seconds");
        Check(
            !options.Strangers || (unit == LimitUnit.Requests && algorithm != LimitAlgorithm.Concurrency
                && (options.Models ?? []).Count == 0 && (scope & ~(LimitScope.Caller | LimitScope.Ip | LimitScope.Route)) == 0),
            "strangers",
            "must be counted by requests, not at once, of all models, in the scope ip, route, caller or global");
        Check(options.Group is null or { Length: > 0 and <= MaxName }, "group", $"must have at most {MaxName} characters");

        var routes = (options.Routes ?? []).Select(text => RoutePattern.TryParse(text ?? "")).ToList();
        Check(!routes.Contains(null), "routes", "must be paths, with or without a method before them, such as POST /api/canvas/generate");
        List<LimitOverride> overrides = [];
        foreach (var item in options.Overrides ?? [])
        {
            var subject = subjects.Read(item?.Subject ?? "");
            Check(subject is not null, "overrides", "need a subject: " + SubjectNames.Forms);
            Check(
                item is { Limit: >= 0 and <= MaxLimit, Burst: null or >= 1 and <= 1000 },
                "overrides", "need a limit and a burst that are in range");
            if (subject is not null)
                overrides.Add(new(subject, item!.Unlimited ? null : item.Limit, item.Burst));
        }

        return ok
            ? new LimitPolicy(name, algorithm, unit, scope, options.Limit, options.Window)
            {
                Burst = options.Burst,
                Mode = mode,
                WithoutRedis = fallback,
                MaxWait = options.MaxWait
                    ?? (unit == LimitUnit.Tokens && mode == TokenMode.Strict ? TimeSpan.FromSeconds(1) : TimeSpan.Zero),
                Shadow = options.Shadow,
                Strangers = options.Strangers,
                Group = options.Group ?? name,
                Routes = routes!,
                Models = (options.Models ?? []).ToHashSet(StringComparer.Ordinal),
                Overrides = overrides,
            }
            : null;

        void Check(bool fine, string field, string what)
        {
            if (fine)
                return;
            ok = false;
            problem(field, what);
        }

        T Word<T>(Dictionary<string, T> words, string? text, string field)
        {
            Check(words.TryGetValue(text ?? "", out var value), field, "must be one of: " + string.Join(", ", words.Keys));
            return value!;
        }
    }
}
