using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>The policies of the configuration, with those that are there by themselves.</summary>
internal static class PolicyConfiguration
{
    public const string Default = "api_generation";
    public const string Guessing = "strangers";

    public static IReadOnlyDictionary<string, PolicyOptions> Read(IConfiguration configuration)
    {
        var policies = new Dictionary<string, PolicyOptions> { [Default] = Generation(), [Guessing] = Strangers() };
        var sections = configuration.GetSection($"{RateLimitingOptions.Section}:{nameof(RateLimitingOptions.Policies)}");
        foreach (var section in sections.GetChildren())
        {
            var name = section.Key.ToLowerInvariant();
            var options = policies.GetValueOrDefault(name) ?? new PolicyOptions();
            // Lists are replaced, not lengthened.
            if (section.GetSection(nameof(PolicyOptions.Routes)).Exists())
                options.Routes = [];
            section.Bind(options);
            policies[name] = options;
        }

        return policies;
    }

    /// <summary>What is wrong with them, in words that name the keys.</summary>
    public static IReadOnlyList<string> Problems(IReadOnlyDictionary<string, PolicyOptions> policies, SubjectNames subjects)
    {
        List<string> problems = [];
        foreach (var (name, options) in policies)
            PolicyReader.Read(name, options, subjects, (field, what) => problems.Add($"RateLimiting:Policies:{name}:{field} {what}."));
        return problems;
    }

    // Generating is what costs: 20 a minute for each caller, 40 at once.
    private static PolicyOptions Generation() => new()
    {
        Limit = 20,
        Window = TimeSpan.FromSeconds(60),
        Burst = 2,
        Scope = "caller",
        Routes = ["POST /api/canvas/generate", "POST /generate"],
    };

    // Many people may sit behind one address, and a key can only be guessed by trying more than anybody can.
    private static PolicyOptions Strangers() => new() { Limit = 300, Window = TimeSpan.FromSeconds(60), Scope = "ip", Strangers = true };
}

/// <summary>At the start; later changes of the configuration that are not valid are told and not taken.</summary>
internal sealed class RateLimitingOptionsCheck(IConfiguration configuration) : IValidateOptions<RateLimitingOptions>
{
    public ValidateOptionsResult Validate(string? name, RateLimitingOptions options)
    {
        List<string> problems = [.. PolicyConfiguration.Problems(PolicyConfiguration.Read(configuration), SubjectNames.Syntax)];
        Check(
            options.Prefix is { Length: > 0 and <= 64 } && options.Prefix.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'),
            nameof(options.Prefix), "must be 1 to 64 letters, digits, '-', '_' or '.'");
        Check(options.RedisTimeout > TimeSpan.Zero && options.RedisTimeout <= TimeSpan.FromSeconds(1), nameof(options.RedisTimeout),
            "must be between nothing and one second");
        Check(options.RedisFailures >= 1, nameof(options.RedisFailures), "must be at least 1");
        Check(options.Heartbeat >= TimeSpan.FromMilliseconds(100), nameof(options.Heartbeat), "must be at least 100 ms");
        Check(options.MinInstances >= 1, nameof(options.MinInstances), "must be at least 1");
        Check(options.LeaseLifetime >= TimeSpan.FromSeconds(1), nameof(options.LeaseLifetime), "must be at least one second");
        Check(options.MaxSubjects >= 1, nameof(options.MaxSubjects), "must be at least 1");
        Check(options.MaxBufferedBytes >= 1, nameof(options.MaxBufferedBytes), "must be at least 1");
        Check(options.DefaultOutputTokens >= 1, nameof(options.DefaultOutputTokens), "must be at least 1");
        Check(options.NearLimit is > 0 and <= 1, nameof(options.NearLimit), "must be above 0 and at most 1");
        Check(options.LogInterval >= TimeSpan.FromMilliseconds(10), nameof(options.LogInterval), "must be at least 10 ms");
        Check(options.LogRetention >= TimeSpan.FromHours(1), nameof(options.LogRetention), "must be at least one hour");
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);

        void Check(bool fine, string key, string what)
        {
            if (!fine)
                problems.Add($"{RateLimitingOptions.Section}:{key} {what}.");
        }
    }
}
