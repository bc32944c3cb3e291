using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Protection;

/// <summary>Whose X-Forwarded-For and -Proto are believed: only those of the configured proxies.</summary>
internal sealed class KnownProxies(IOptions<ProtectionOptions> options)
{
    public NetworkSet Networks { get; } = new(options.Value.KnownProxies);

    public ForwardedHeadersOptions ToForwardedHeaders()
    {
        var forwarded = new ForwardedHeadersOptions
        {
            // Never X-Forwarded-Host: links and redirects go to the host that was asked.
            ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto,
            // As many steps back as there are known proxies; the first address of somebody else is the client.
            ForwardLimit = null,
        };
        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        foreach (var network in Networks.All)
            forwarded.KnownIPNetworks.Add(network);
        return forwarded;
    }
}

/// <summary>What a known proxy said of the request that it passed on.</summary>
/// <param name="SaidScheme">Whether it said by which scheme the client came: a proxy's own health probes do not.</param>
internal sealed record ViaProxy(bool SaidScheme);
