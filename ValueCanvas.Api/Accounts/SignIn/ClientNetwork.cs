using System.Net;
using System.Security.Cryptography;
using ValueCanvas.Api.Secrets;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Where a request comes from, as a keyed hash: an IPv4 address, or the /64 that an IPv6 client can choose in. No address is kept.</summary>
internal sealed class ClientNetwork(SecretBox box)
{
    private readonly byte[] _key = box.DeriveKey("client-network");

    public byte[] Of(HttpContext context) => Of(context.Connection.RemoteIpAddress);

    public byte[] Of(IPAddress? address)
    {
        var bytes = (address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address)?.GetAddressBytes() ?? [];
        return HMACSHA256.HashData(_key, bytes.AsSpan(0, Math.Min(bytes.Length, 8)))[..16];
    }
}
