using System.Net;

namespace ValueCanvas.Api.Protection;

/// <summary>Networks that an address may be in; IPv4 counts as IPv4 also where it arrives as <c>::ffff:10.0.0.7</c>.</summary>
internal sealed class NetworkSet(IEnumerable<string> networks)
{
    private readonly IPNetwork[] _networks =
        [.. networks.Select(text => TryParse(text, out var network) ? network : throw new FormatException(text))];

    public bool IsEmpty => _networks.Length == 0;

    public IReadOnlyList<IPNetwork> All => _networks;

    public bool Contains(IPAddress? address)
    {
        if (address is null)
            return false;
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(_networks, network => network.Contains(plain));
    }

    /// <summary>A network in CIDR notation, or one address.</summary>
    public static bool TryParse(string text, out IPNetwork network)
    {
        if (IPNetwork.TryParse(text, out network))
            return true;
        if (!IPAddress.TryParse(text, out var address))
            return false;
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
        return true;
    }
}
