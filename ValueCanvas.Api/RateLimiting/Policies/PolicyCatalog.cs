using Microsoft.Extensions.Primitives;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>The policies that apply now: those of the configuration, and over them, by name, those that an operator has set live.</summary>
internal sealed partial class PolicyCatalog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly IConfiguration _configuration;
    private readonly SubjectNames _subjects;
    private readonly ILogger<PolicyCatalog> _logger;
    private readonly IDisposable _reload;
    private IReadOnlyDictionary<string, PolicyOptions> _configured;
    private LivePolicies _live = LivePolicies.None;
    private PolicySnapshot _current;

    public PolicyCatalog(IConfiguration configuration, SubjectNames subjects, ILogger<PolicyCatalog> logger)
    {
        (_configuration, _subjects, _logger) = (configuration, subjects, logger);
        _configured = PolicyConfiguration.Read(configuration);
        _current = Build();
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    public PolicySnapshot Current => Volatile.Read(ref _current);

    /// <summary>What PostgreSQL holds now.</summary>
    public void Follow(LivePolicies live)
    {
        lock (_gate)
        {
            _live = live;
            Volatile.Write(ref _current, Build());
        }
    }

    public void Dispose() => _reload.Dispose();

    private void Reload()
    {
        var policies = PolicyConfiguration.Read(_configuration);
        if (PolicyConfiguration.Problems(policies, _subjects) is [var first, ..])
        {
            Log.NotTaken(_logger, first);
            return;
        }

        lock (_gate)
        {
            _configured = policies;
            Volatile.Write(ref _current, Build());
        }
    }

    private PolicySnapshot Build()
    {
        var entries = new SortedDictionary<string, PolicyEntry>(StringComparer.Ordinal);
        foreach (var (name, options) in _configured)
            entries[name] = new(options, IsLive: false);
        foreach (var (name, options) in _live.Policies)
            entries[name] = new(options, IsLive: true);

        List<LimitPolicy> policies = [];
        foreach (var (name, entry) in entries.Where(entry => entry.Value.Options.Enabled).OrderBy(entry => entry.Value.Options.Order))
        {
            // One that an earlier version stored may not make sense any more.
            var policy = PolicyReader.Read(
                name, entry.Options, _subjects, (field, what) => Log.NotTaken(_logger, $"{name}: {field} {what}"));
            if (policy is not null)
                policies.Add(policy);
        }

        return new PolicySnapshot(entries, policies, _live.Subjects);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "A changed rate limit is not taken: {Problem}")]
        public static partial void NotTaken(ILogger logger, string problem);
    }
}

/// <summary>What operators have set live.</summary>
internal sealed record LivePolicies(
    IReadOnlyDictionary<string, PolicyOptions> Policies, IReadOnlyDictionary<string, SubjectRule> Subjects)
{
    public static LivePolicies None { get; } = new(new Dictionary<string, PolicyOptions>(), new Dictionary<string, SubjectRule>());
}
