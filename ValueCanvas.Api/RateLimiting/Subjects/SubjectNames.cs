using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.RateLimiting.Subjects;

/// <summary>
/// How those who are limited are called: <c>user:</c>, <c>key:</c> and <c>tenant:</c> with an id, <c>model:</c>, <c>route:</c>, and
/// <c>ip:</c> with an HMAC of the address, for nothing keeps an address itself.
/// </summary>
internal sealed class SubjectNames
{
    public const string Forms = "user:ID, key:ID, tenant:ID, ip:ADDRESS, model:NAME or route:METHOD PATH";

    private const int MaxName = 128;
    private const int HashBytes = 16;

    private readonly byte[] _key;

    public SubjectNames(SecretBox secrets) => _key = secrets.DeriveKey("rate-limits.subjects");

    private SubjectNames() => _key = [];

    /// <summary>Reads subjects where no secret is: what it makes of an address is of no use.</summary>
    public static SubjectNames Syntax { get; } = new();

    public static string User(Guid id) => $"user:{id:N}";

    public static string Key(Guid id) => $"key:{id:N}";

    public static string Tenant(Guid id) => $"tenant:{id:N}";

    /// <summary>A name that a client chose: short enough to be a part of a key, and still its own.</summary>
    public static string Model(string name) =>
        "model:" + (name.Length <= MaxName ? name : Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name))));

    public static string Route(string method, string pattern) => $"route:{method} {pattern}";

    /// <summary>One IPv4 address, or the /64 of an IPv6 one: that is what one customer gets.</summary>
    public string Ip(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        var length = 0;
        if (address is { IsIPv4MappedToIPv6: true })
            address = address.MapToIPv4();
        if (address?.TryWriteBytes(bytes, out length) == true && address.AddressFamily == AddressFamily.InterNetworkV6)
            length = 8;
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_key, bytes[..length], hash);
        return "ip:" + Convert.ToHexStringLower(hash[..HashBytes]);
    }

    /// <summary>Reads a subject as people write it; null where it is none.</summary>
    public string? Read(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var (kind, name) = colon < 0 ? ("", "") : (text[..colon], text[(colon + 1)..].Trim());
        return kind switch
        {
            "user" when Guid.TryParse(name, out var id) => User(id),
            "key" when Guid.TryParse(name, out var id) => Key(id),
            "tenant" when Guid.TryParse(name, out var id) => Tenant(id),
            "ip" when IPAddress.TryParse(name, out var address) => Ip(address),
            // As it is told, so that what is told can be sent back.
            "ip" when name.Length == 2 * HashBytes && name.All(char.IsAsciiHexDigitLower) => text,
            "model" when name.Length > 0 => Model(name),
            "route" when name.Split(' ') is [var method, ['/', ..] path] => Route(method.ToUpperInvariant(), path),
            _ => null,
        };
    }
}
