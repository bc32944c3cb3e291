using Microsoft.Extensions.Options;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>What needs no configuration: a hosted provider's address, and its key where the usual variable holds one.</summary>
internal sealed class ProviderDefaults(IConfiguration configuration) : IPostConfigureOptions<InferenceOptions>
{
    // These two, set alone, are a provider.
    private static readonly string[] ProvidersByVariable = ["together", "openai"];

    public void PostConfigure(string? name, InferenceOptions options)
    {
        foreach (var kind in ProviderKind.Known.Where(kind => configuration[kind.KeyVariable ?? ""] is { Length: > 0 }))
        {
            var ofKind = options.Providers.Where(p => ProviderKind.Of(p.Key, p.Value) == kind).Select(p => p.Value).ToList();
            if (ofKind.Count == 0 && ProvidersByVariable.Contains(kind.Name) && !options.Providers.ContainsKey(kind.Name))
                ofKind.Add(options.Providers[kind.Name] = new ProviderOptions());

            foreach (var provider in ofKind.Where(provider => provider.ApiKeys.TrueForAll(string.IsNullOrWhiteSpace)))
                provider.ApiKeys = [configuration[kind.KeyVariable!]!];
        }

        foreach (var (provider, settings) in options.Providers)
        {
            if (settings.Endpoints.Count == 0 && ProviderKind.Of(provider, settings) is { PublicEndpoint: { } address })
                settings.Endpoints = [address];
        }
    }
}
