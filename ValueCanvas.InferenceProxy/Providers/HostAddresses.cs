using System.Collections.Frozen;
using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Asks for the addresses of a host, as <see cref="Dns.GetHostAddressesAsync(string, CancellationToken)"/> does.</summary>
internal delegate Task<IPAddress[]> HostResolver(string host, CancellationToken cancellationToken);

/// <summary>Hosts that are several servers, with their addresses. A host with one address is left alone, unless it has had more: then its
/// replica is known by its address and keeps what is known of it.</summary>
internal sealed class HostAddresses
{
    public static readonly HostAddresses None = new([]);

    private readonly FrozenDictionary<string, IPAddress[]> _fleets;

    private HostAddresses(Dictionary<string, IPAddress[]> fleets) => _fleets = fleets.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    public IPAddress[] Of(string host) => _fleets.GetValueOrDefault(host, []);

    /// <summary>With what was found of some hosts now; the same object when that is nothing new.</summary>
    public HostAddresses With(IEnumerable<(string Host, IPAddress[] Found)> answers)
    {
        Dictionary<string, IPAddress[]>? changed = null;
        foreach (var (host, found) in answers)
        {
            var addresses = InOrder(found);
            var known = Of(host);
            if (addresses.Length > (known.Length > 0 ? 0 : 1) && !addresses.SequenceEqual(known))
            {
                changed ??= new Dictionary<string, IPAddress[]>(_fleets, StringComparer.OrdinalIgnoreCase);
                changed[host] = addresses;
            }
        }

        return changed is null ? this : new HostAddresses(changed);
    }

    // A server with addresses of both families is still one server.
    private static IPAddress[] InOrder(IPAddress[] found)
    {
        var family = Array.Exists(found, a => a.AddressFamily == AddressFamily.InterNetwork)
            ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        return [.. found.Where(a => a.AddressFamily == family).Distinct()
            .OrderBy(a => Convert.ToHexString(a.GetAddressBytes()), StringComparer.Ordinal)];
    }
}
