using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ValueCanvas.Core.Changes;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.ProviderKeys;

/// <summary>Requests of a tenant that has keys of its own go out under them.</summary>
public static class ProviderKeyHosting
{
    /// <summary>Needs the database, secrets and the inference client; comes after what else stands before the proxy.</summary>
    public static IServiceCollection AddProviderKeysOfTenants(this IServiceCollection services)
    {
        services.TryAddSingleton<SealedProviderKeys>();
        services.TryAddSingleton<KnownProviderKeys>();
        services.AddChangeFollower<ProviderKeyChanges>();
        services.AddTransient<ProviderKeyHandler>();
        services.AddHttpClient(InferenceClient.HttpClientName)
            .AddHttpMessageHandler<ProviderKeyHandler>()
            .RedactLoggedHeaders(name => name.StartsWith(InferenceHeaders.Prefix, StringComparison.OrdinalIgnoreCase));
        return services;
    }
}
