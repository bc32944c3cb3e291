using System.Net;
using System.Security.Cryptography;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// A client's network address as it may be stored: an HMAC under a secret, the same at every instance, by which requests from one place can
/// be told to be so, and no more. An IPv6 client is its /64, for it can choose the rest.
/// </summary>
internal sealed class ClientSource(SecretBox secrets)
{
    private const int HashBytes = 16;
    private const int ShownBytes = 12;

    private readonly byte[] _key = secrets.DeriveKey("client source");

    /// <summary>As the audit log shows it; null where there is no address.</summary>
    public string? Of(HttpContext context) => context.Connection.RemoteIpAddress is { } address ? Of(address) : null;

    public string Of(IPAddress address) => Convert.ToHexStringLower(NetworkOf(address).AsSpan(0, ShownBytes));

    /// <summary>As tries are counted by it, and sessions remember it; all without an address are one network.</summary>
    public byte[] NetworkOf(HttpContext context) => NetworkOf(context.Connection.RemoteIpAddress);

    // IPv4 as it is, also where it comes as IPv6; IPv6 without its last 64 bits.
    private byte[] NetworkOf(IPAddress? address)
    {
        var bytes = (address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address)?.GetAddressBytes() ?? [];
        return HMACSHA256.HashData(_key, bytes.AsSpan(0, bytes.Length == 16 ? 8 : bytes.Length))[..HashBytes];
    }
}
