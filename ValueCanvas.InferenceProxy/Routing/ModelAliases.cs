using System.Collections.Frozen;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>What the configured aliases mean, followed to the end once per configuration.</summary>
internal sealed class ModelAliases
{
    private readonly FrozenDictionary<string, Alias> _targets;

    public ModelAliases(InferenceOptions options)
    {
        var targets = new Dictionary<string, Alias>(StringComparer.Ordinal);
        foreach (var alias in options.Aliases.Keys.Append(InferenceOptions.DefaultAlias))
        {
            if (Follow(options, alias, out var model) == Chain.Ends && model != alias)
                targets[alias] = new Alias(model, JsonSerializer.SerializeToUtf8Bytes(model, ModelAliasesJsonContext.Default.String));
        }

        _targets = targets.ToFrozenDictionary(StringComparer.Ordinal);
    }

    internal enum Chain
    {
        Ends,
        Loops,
        NoDefault,
        Empty,
    }

    public IEnumerable<KeyValuePair<string, Alias>> All => _targets;

    /// <summary>The model that a name means, and its JSON string where that differs from what the client wrote.</summary>
    public (string Model, byte[]? Json) Resolve(string name) =>
        _targets.TryGetValue(name, out var alias) ? (alias.Model, alias.Json) : (name, null);

    /// <summary>Follows an alias to a model.</summary>
    public static Chain Follow(InferenceOptions options, string name, out string model)
    {
        model = name;
        for (var steps = 0; steps <= options.Aliases.Count + 1; steps++)
        {
            if (model.Length == 0)
                return Chain.Empty;

            if (options.Aliases.TryGetValue(model, out var next) && next != model)
            {
                model = next ?? "";
            }
            else if (model == InferenceOptions.DefaultAlias)
            {
                model = options.DefaultModel ?? "";
                return model.Length == 0 ? Chain.NoDefault : Chain.Ends;
            }
            else
            {
                return Chain.Ends;
            }
        }

        return Chain.Loops;
    }

    internal sealed record Alias(string Model, byte[] Json);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class ModelAliasesJsonContext : System.Text.Json.Serialization.JsonSerializerContext;
