using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>What settings of models must keep to.</summary>
internal static class RouteRules
{
    public static void Check(InferenceOptions options, List<string> wrong)
    {
        foreach (var twice in options.Models.GroupBy(m => m.Value.Name, StringComparer.Ordinal).Where(g => g.Count() > 1))
            wrong.Add($"Inference:Models:{twice.Last().Key}:Name is the name of another model, too.");

        foreach (var (name, model) in options.Models)
        {
            var key = $"Inference:Models:{name}";
            if (model.Targets.Count == 0 && model.Chains.Count == 0)
                wrong.Add($"{key}:Targets must name at least one target, for example vllm/{name}.");

            if (model.FallbackOn.Any(cause => cause is not (ModelOptions.ContextWindow or ModelOptions.ContentPolicy))
                && model.FallbackOn is not [ModelOptions.Nothing])
            {
                wrong.Add(
                    $"{key}:FallbackOn must list {ModelOptions.ContextWindow}, {ModelOptions.ContentPolicy}, or "
                    + $"{ModelOptions.Nothing} alone.");
            }

            Targets(options, model.Targets, $"{key}:Targets", wrong);
            foreach (var (level, targets) in model.Chains)
            {
                if (!RiskLevels.TryParse(level, out _))
                    wrong.Add($"{key}:Chains:{level} is no risk level; use {RiskLevels.Names}.");
                else if (targets.Count == 0)
                    wrong.Add($"{key}:Chains:{level} must name at least one target.");

                Targets(options, targets, $"{key}:Chains:{level}", wrong);
            }
        }
    }

    private static void Targets(InferenceOptions options, IReadOnlyList<TargetOptions> targets, string key, List<string> wrong)
    {
        for (var i = 0; i < targets.Count; i++)
        {
            if (string.IsNullOrEmpty(targets[i].Provider) && string.IsNullOrEmpty(targets[i].Model))
            {
                wrong.Add($"{key}:{i} must name a provider, a model or both as provider/model.");
            }
            else if (targets[i].Provider is { Length: > 0 } provider
                && !options.Providers.Keys.Contains(provider, StringComparer.OrdinalIgnoreCase))
            {
                wrong.Add($"{key}:{i} names the provider '{provider}', which Inference:Providers does not have.");
            }
        }
    }
}
