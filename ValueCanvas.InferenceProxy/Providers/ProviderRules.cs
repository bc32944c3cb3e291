namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>What settings of providers must keep to. Messages name the key, never a secret.</summary>
internal static class ProviderRules
{
    public static void Check(InferenceOptions options, List<string> wrong)
    {
        if (options.Providers.Values.Sum(provider => provider.Endpoints.Count) == 0)
            wrong.Add("Inference:Providers names no model server; set Inference:Providers:vllm:Endpoints:0 to its URL.");

        foreach (var (provider, settings) in options.Providers)
        {
            var key = $"Inference:Providers:{provider}";
            if (ProviderKind.Of(provider, settings) is not { } kind)
            {
                wrong.Add($"{key}:Kind must be one of {string.Join(", ", ProviderKind.Known.Select(k => k.Name))}.");
                continue;
            }

            for (var i = 0; i < settings.Endpoints.Count; i++)
                Endpoint(settings.Endpoints[i], kind, $"{key}:Endpoints:{i}", wrong);

            Keys(settings, kind, key, wrong);
            for (var i = 0; i < settings.Models.Count; i++)
            {
                if (string.IsNullOrWhiteSpace(settings.Models[i]))
                    wrong.Add($"{key}:Models:{i} must name a model.");
            }
        }
    }

    private static void Endpoint(string endpoint, ProviderKind kind, string key, List<string> wrong)
    {
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0)
            wrong.Add($"{key} must be an absolute http or https URL.");
        else if (uri.UserInfo.Length > 0 || uri.Query.Length > 0)
            wrong.Add($"{key} must have no user, password or query.");
        else if (uri.AbsolutePath.TrimEnd('/').EndsWith(kind.Prefix, StringComparison.Ordinal))
            wrong.Add($"{key} must not end in {kind.Prefix}; the proxy adds it.");
    }

    private static void Keys(ProviderOptions settings, ProviderKind kind, string key, List<string> wrong)
    {
        for (var i = 0; i < settings.ApiKeys.Count; i++)
        {
            if (settings.ApiKeys[i].Any(c => c is < '!' or > '~') && !string.IsNullOrWhiteSpace(settings.ApiKeys[i]))
                wrong.Add($"{key}:ApiKeys:{i} must hold visible ASCII characters only, without spaces or line ends.");
        }

        if (settings.ApiKeys.TrueForAll(string.IsNullOrWhiteSpace) && kind.PublicEndpoint is { } address
            && settings.Endpoints.Contains(address))
        {
            wrong.Add($"{key}:ApiKeys must hold a key, or the variable {kind.KeyVariable}: {address} asks for one.");
        }
    }
}
