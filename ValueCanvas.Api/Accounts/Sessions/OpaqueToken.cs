using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>256 random bits that say who brings them; the database has only their hash.</summary>
internal sealed class OpaqueToken
{
    public const string Refresh = "vcr_";
    public const string Invitation = "vci_";
    public const string PasswordReset = "vcp_";

    private const int Bytes = 32;

    private readonly byte[] _bytes;

    private OpaqueToken(byte[] bytes) => _bytes = bytes;

    public byte[] Hash => SHA256.HashData(_bytes);

    public static OpaqueToken Create() => new(RandomNumberGenerator.GetBytes(Bytes));

    public static bool TryParse(string prefix, string? text, [NotNullWhen(true)] out OpaqueToken? token)
    {
        token = text is not null && text.StartsWith(prefix, StringComparison.Ordinal)
            && Base64Url.TryDecode(text.AsSpan(prefix.Length), out var bytes) && bytes.Length == Bytes
            ? new OpaqueToken(bytes)
            : null;
        return token is not null;
    }

    /// <summary>The one that follows: always the same, so that a lost answer can be given again without being kept.</summary>
    public OpaqueToken Next(byte[] key) => new(HMACSHA256.HashData(key, _bytes));

    public string ToText(string prefix) => prefix + Base64Url.Encode(_bytes);
}
