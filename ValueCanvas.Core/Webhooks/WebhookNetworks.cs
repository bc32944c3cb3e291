using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Webhooks;

/// <summary>
/// Which addresses may be delivered to: those of the internet, never what is behind our own walls (this machine, private networks, the
/// metadata service of a cloud), unless it is configured.
/// </summary>
public sealed class WebhookNetworks(IOptions<WebhookOptions> options)
{
    // IANA's registries of special purposes, as far as they are not reachable from everywhere, and multicast.
    private static readonly IPNetwork[] Special =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            // Within what is given out of IPv6: protocols (Teredo among them, which hides an IPv4 address), documentation, 6to4.
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(network => IPNetwork.Parse(network)),
    ];

    private static readonly IPNetwork GivenOutOfIPv6 = IPNetwork.Parse("2000::/3");

    private readonly IPNetwork[] _allowed = [.. options.Value.AllowedNetworks.Select(network => IPNetwork.Parse(network))];

    public bool Admits(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(_allowed, network => network.Contains(plain)) || IsPublic(plain);
    }

    private static bool IsPublic(IPAddress address) =>
        (address.AddressFamily == AddressFamily.InterNetwork || GivenOutOfIPv6.Contains(address))
        && !Array.Exists(Special, network => network.Contains(address));
}
