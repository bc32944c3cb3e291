using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>SHA-256 of a token: what it is remembered by, so that no memory dump holds tokens.</summary>
internal readonly record struct TokenHash(ulong A, ulong B, ulong C, ulong D)
{
    private const int OnStack = 2048;

    public static TokenHash Of(string text)
    {
        Span<byte> bytes = stackalloc byte[OnStack];
        if (!Encoding.UTF8.TryGetBytes(text, bytes, out var written))
        {
            bytes = Encoding.UTF8.GetBytes(text);
            written = bytes.Length;
        }

        Span<ulong> hash = stackalloc ulong[4];
        SHA256.HashData(bytes[..written], MemoryMarshal.AsBytes(hash));
        return new TokenHash(hash[0], hash[1], hash[2], hash[3]);
    }

    // The hash is uniform by itself.
    public override int GetHashCode() => (int)A;
}
