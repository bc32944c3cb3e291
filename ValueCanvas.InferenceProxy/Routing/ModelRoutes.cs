using System.Collections.Frozen;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Where requests for a model go: the configured targets in order, and without any to whichever replica serves the
/// model.</summary>
internal sealed class ModelRoutes
{
    private readonly ModelAliases _aliases;
    private readonly Replica[] _all;
    private readonly FrozenDictionary<string, Replica[]> _byProvider;
    private readonly FrozenDictionary<string, Chains> _chains;

    public ModelRoutes(InferenceOptions options, Replica[] replicas, ModelAliases aliases)
    {
        (_aliases, _all) = (aliases, replicas);
        _byProvider = replicas.GroupBy(r => r.Provider, StringComparer.OrdinalIgnoreCase)
            .ToFrozenDictionary(provider => provider.Key, provider => provider.ToArray(), StringComparer.OrdinalIgnoreCase);
        _chains = options.Models.Values.ToFrozenDictionary(m => m.Name, Build, StringComparer.Ordinal);
    }

    public IEnumerable<string> Names => _chains.Keys;

    /// <summary>The models that targets expect a provider to serve.</summary>
    public static IEnumerable<string> Targeted(InferenceOptions options, string provider) =>
        from model in options.Models.Values
        from target in model.Targets.Concat(model.Chains.Values.SelectMany(chain => chain))
        where string.Equals(target.Provider, provider, StringComparison.OrdinalIgnoreCase)
        select string.IsNullOrEmpty(target.Model) ? model.Name : target.Model;

    public ModelRoute Resolve(string asked, RiskLevel? risk)
    {
        if (_chains.TryGetValue(asked, out var chains))
            return chains.For(risk);

        var (model, json) = _aliases.Resolve(asked);
        return json is not null && _chains.TryGetValue(model, out chains)
            ? chains.For(risk)
            : new ModelRoute([new ModelTarget(null, _all, model, json)]);
    }

    /// <summary>The replicas of a provider, or with null all.</summary>
    public Replica[] ReplicasOf(string? provider) => provider is null ? _all : _byProvider.GetValueOrDefault(provider, []);

    private Chains Build(ModelOptions options)
    {
        var byRisk = new ModelRoute?[Enum.GetValues<RiskLevel>().Length];
        foreach (var (level, targets) in options.Chains)
        {
            if (RiskLevels.TryParse(level, out var risk))
                byRisk[(int)risk] = Build(options, targets);
        }

        return new Chains(Build(options, options.Targets), byRisk);
    }

    private ModelRoute Build(ModelOptions options, IReadOnlyList<TargetOptions> targets) => targets.Count == 0
        ? new ModelRoute([Target(null, options.Name)])
        : new ModelRoute([.. targets.Select(target => Target(
            string.IsNullOrEmpty(target.Provider) ? null : target.Provider,
            string.IsNullOrEmpty(target.Model) ? options.Name : target.Model))])
        {
            FallbackOn = options.FallbackOn,
        };

    private ModelTarget Target(string? provider, string name)
    {
        var model = _aliases.Resolve(name).Model;
        return new ModelTarget(
            provider, ReplicasOf(provider), model, JsonSerializer.SerializeToUtf8Bytes(model, ModelAliasesJsonContext.Default.String));
    }

    private sealed record Chains(ModelRoute Default, ModelRoute?[] ByRisk)
    {
        public ModelRoute For(RiskLevel? risk) => (risk is { } level ? ByRisk[(int)level] : null) ?? Default;
    }
}

/// <summary>Targets in the order in which they are tried; at least one.</summary>
internal sealed record ModelRoute(ModelTarget[] Targets)
{
    /// <summary>What one may decline and the next be asked; all there is when empty.</summary>
    public IReadOnlyList<string> FallbackOn { get; init; } = [];

    public bool FallsBackOn(AttemptFailure decline) => FallbackOn.Count == 0 || FallbackOn.Contains(decline.Label());
}

/// <summary>A provider, or null for any; its replicas at the time, and the model to ask them for, also as a JSON string where clients may
/// use another name.</summary>
internal sealed record ModelTarget(string? Provider, Replica[] Replicas, string Model, byte[]? Json)
{
    /// <summary>The model as one of the replicas lists it.</summary>
    public ServedModel? Served() => Replicas.Select(r => r.State.Models.GetValueOrDefault(Model)).FirstOrDefault(m => m is not null);
}
