using System.Net;
using System.Security.Cryptography;
using ValueCanvas.Api.Secrets;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// A client's network address as it may be stored: an HMAC under a secret, the same at every instance, by which requests from one place can be
/// told to be so, and no more. An IPv6 client is its /64, for it can choose the rest.
/// </summary>
internal sealed class ClientSource(SecretBox secrets)
{
    private const int Length = 12;

    private readonly byte[] _key = secrets.DeriveKey("client source");

    /// <summary>Null where there is no address.</summary>
    public string? Of(HttpContext context) => context.Connection.RemoteIpAddress is { } address ? Of(address) : null;

    public string Of(IPAddress address) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_key, Network(address)).AsSpan(0, Length));

    /// <summary>IPv4 as it is, also where it comes as IPv6; IPv6 without its last 64 bits.</summary>
    private static byte[] Network(IPAddress address)
    {
        var bytes = (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).GetAddressBytes();
        return bytes.Length == 16 ? bytes[..8] : bytes;
    }
}
