using Aspire.Client;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds service discovery to HTTP clients.</summary>
public static class ServiceDiscoveryHttpClientBuilderExtensions
{
    /// <summary>
    /// The client's requests to <c>http://NAME</c>, <c>https+http://NAME</c> and <c>http://_ENDPOINT.NAME</c> go to the configured
    /// addresses in turn; a name that is not configured is left to DNS.
    /// </summary>
    public static IHttpClientBuilder AddServiceDiscovery(this IHttpClientBuilder httpClientBuilder)
    {
        ArgumentNullException.ThrowIfNull(httpClientBuilder);
        httpClientBuilder.Services.TryAddSingleton<ConfiguredServices>();
        return httpClientBuilder.AddHttpMessageHandler(
            services => new ServiceDiscoveryHandler(services.GetRequiredService<ConfiguredServices>()));
    }
}
