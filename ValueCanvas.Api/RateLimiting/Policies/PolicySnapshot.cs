using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>All that applies at one moment; replaced as a whole.</summary>
/// <param name="Entries">As they are told, by name; disabled ones, too.</param>
/// <param name="Policies">Those that apply, in their order.</param>
/// <param name="Subjects">What an operator has said of single subjects.</param>
internal sealed record PolicySnapshot(
    IReadOnlyDictionary<string, PolicyEntry> Entries,
    IReadOnlyList<LimitPolicy> Policies,
    IReadOnlyDictionary<string, SubjectRule> Subjects)
{
    /// <summary>Those that fit by method and path: whoever asks, and for which model, is not known yet.</summary>
    public IReadOnlyList<LimitPolicy> ForRoute(string method, PathString path, bool isStranger)
    {
        List<LimitPolicy>? fitting = null;
        foreach (var policy in Policies)
        {
            if ((isStranger ? policy.CountsStrangers : !policy.Strangers)
                && (policy.Routes.Count == 0 || policy.Routes.Any(route => route.Matches(method, path))))
            {
                (fitting ??= []).Add(policy);
            }
        }

        return fitting ?? (IReadOnlyList<LimitPolicy>)[];
    }

    /// <summary>What an operator has said of those who make the request; a ban wins.</summary>
    public SubjectRule? RuleFor(LimitedRequest request, DateTimeOffset now)
    {
        if (Subjects.Count == 0)
            return null;
        SubjectRule? found = null;
        foreach (var subject in request.All())
        {
            if (Subjects.TryGetValue(subject, out var rule) && rule.Action is not null && !(rule.Until <= now)
                && found?.Action != SubjectAction.Ban)
            {
                found = rule;
            }
        }

        return found;
    }

    /// <summary>What the request costs under each policy that applies.</summary>
    /// <param name="prefix">Of the keys.</param>
    /// <param name="fitting">By <see cref="ForRoute"/>.</param>
    /// <param name="request">Who asks for what.</param>
    /// <param name="tokens">What the request may need under a policy that counts tokens; 0 where it needs none.</param>
    public List<Charge> Charges(
        string prefix, IReadOnlyList<LimitPolicy> fitting, LimitedRequest request, Func<LimitPolicy, long> tokens)
    {
        List<Charge> charges = [];
        HashSet<string>? groups = fitting.Count > 1 ? [] : null;
        foreach (var policy in fitting)
        {
            if ((policy.Models.Count > 0 && (request.Model is null || !policy.Models.Contains(request.Model)))
                || request.Subject(policy.Scope) is not { } subject || groups?.Add(policy.Group) == false)
            {
                continue;
            }

            var (limit, burst) = ((long?)policy.Limit, policy.Burst);
            if (policy.Overrides.Count > 0)
            {
                var all = request.All().ToHashSet(StringComparer.Ordinal);
                if (policy.Overrides.FirstOrDefault(item => all.Contains(item.Subject)) is { } item)
                    (limit, burst) = (item.Limit, item.Burst ?? burst);
            }

            var cost = policy.Unit == LimitUnit.Tokens ? tokens(policy) : 1;
            if (limit is { } most && cost > 0)
            {
                charges.Add(new(
                    policy, subject, KeyNames.Count(prefix, policy, subject, Resets(subject)),
                    most, (long)(policy.WindowMicros * burst), cost));
            }
        }

        return charges;
    }

    // Who was reset counts anew, under another key, everywhere.
    private int Resets(string subject)
    {
        if (Subjects.Count == 0)
            return 0;
        var resets = 0;
        foreach (var part in subject.Split('+'))
            resets += Subjects.GetValueOrDefault(part)?.Resets ?? 0;
        return resets;
    }
}

/// <summary>A policy as it is told, and where it comes from.</summary>
internal sealed record PolicyEntry(PolicyOptions Options, bool IsLive);

internal enum SubjectAction
{
    Ban,
    Allow,
}

/// <summary>What an operator has said of a subject; the resets are counted.</summary>
internal sealed record SubjectRule(string Subject, SubjectAction? Action, DateTimeOffset? Until, int Resets);
