using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.ServiceDefaults.Http;

/// <summary>
/// Defaults of every client from <c>IHttpClientFactory</c>: names such as <c>http://inference</c> are resolved by service discovery, a dead
/// address is noticed quickly, and a moved one is found again. No retries and no resilience handler: they would cut or repeat long
/// generations.
/// </summary>
internal static class HttpClientDefaults
{
    public static void AddHttpClientDefaults(this IServiceCollection services)
    {
        services.AddServiceDiscovery();
        services.ConfigureHttpClientDefaults(http => http
            .AddServiceDiscovery()
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan) // the connections' own lifetime follows DNS
            .UseSocketsHttpHandler((handler, _) =>
            {
                handler.ConnectTimeout = TimeSpan.FromSeconds(2);
                handler.PooledConnectionLifetime = TimeSpan.FromMinutes(2);
                handler.PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1);
                handler.UseCookies = false;
                handler.AllowAutoRedirect = false;
            }));
    }
}
