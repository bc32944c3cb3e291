using Aspire.Client;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds service discovery.</summary>
public static class ServiceDiscoveryServiceCollectionExtensions
{
    /// <summary>
    /// Makes names from the configuration, <c>services:NAME:SCHEME:INDEX</c>, known to every HTTP client that has
    /// <see cref="ServiceDiscoveryHttpClientBuilderExtensions.AddServiceDiscovery(IHttpClientBuilder)"/>.
    /// </summary>
    public static IServiceCollection AddServiceDiscovery(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddSingleton<ConfiguredServices>();
        return services;
    }
}
