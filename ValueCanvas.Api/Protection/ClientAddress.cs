using Microsoft.AspNetCore.HttpOverrides;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// Around the framework's reading of X-Forwarded-*: notes beforehand whether a known proxy speaks, and afterwards removes what
/// nobody further in, or behind this service, must believe.
/// </summary>
internal static class ClientAddress
{
    private static readonly string[] NotBelieved =
    [
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Original-For", "X-Original-Proto", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
    ];

    public static IServiceCollection AddClientAddress(this IServiceCollection services) => services
        .AddSingleton<KnownProxies>()
        // Aspire sets ASPNETCORE_FORWARDEDHEADERS_ENABLED, by which the host would believe everybody.
        .PostConfigure<ForwardedHeadersOptions>(host => host.ForwardedHeaders = ForwardedHeaders.None);

    public static IApplicationBuilder UseClientAddress(this IApplicationBuilder app)
    {
        var proxies = app.ApplicationServices.GetRequiredService<KnownProxies>();
        if (!proxies.Networks.IsEmpty)
        {
            app.Use((context, next) =>
            {
                if (proxies.Networks.Contains(context.Connection.RemoteIpAddress))
                    context.Features.Set(new ViaProxy(context.Request.Headers.ContainsKey("X-Forwarded-Proto")));
                return next(context);
            });
            app.UseForwardedHeaders(proxies.ToForwardedHeaders());
        }

        return app.Use((context, next) =>
        {
            foreach (var name in NotBelieved)
                context.Request.Headers.Remove(name);
            return next(context);
        });
    }
}
