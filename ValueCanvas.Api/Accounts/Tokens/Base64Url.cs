using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Coder = System.Buffers.Text.Base64Url;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>RFC 7515's encoding, read strictly: no padding, no white space, one text for one value.</summary>
internal static class Base64Url
{
    private static readonly SearchValues<char> Alphabet =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    public static string Encode(ReadOnlySpan<byte> bytes) => Coder.EncodeToString(bytes);

    public static string Encode(string text) => Encode(Encoding.UTF8.GetBytes(text));

    public static bool TryDecode(ReadOnlySpan<char> text, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        if (text.Length % 4 == 1 || text.ContainsAnyExcept(Alphabet))
            return false;
        bytes = Coder.DecodeFromChars(text);
        // The bits of the last character that belong to no byte must be zero: else one token had several texts.
        return text.SequenceEqual(Encode(bytes));
    }
}
