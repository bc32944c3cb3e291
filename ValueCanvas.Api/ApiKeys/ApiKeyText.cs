using System.Buffers;
using System.Security.Cryptography;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>
/// A key as its owner has it: <c>vck_&lt;live|test&gt;_&lt;id&gt;_&lt;secret&gt;&lt;crc&gt;</c>. 27 characters of 62 are 160 bits of
/// secret; the CRC-32 of all before it tells a mistyped or made-up key from a real one without asking anybody, and scanners that a key has
/// leaked.
/// </summary>
internal static class ApiKeyText
{
    public const string Start = "vck_";
    public const string Live = "live";
    public const string Test = "test";

    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int IdLength = 12;
    private const int SecretLength = 27;
    private const int SumLength = 6;
    private const int PrefixLength = 9 + IdLength;
    private const int Length = PrefixLength + 1 + SecretLength + SumLength;

    private static readonly SearchValues<char> Characters = SearchValues.Create(Alphabet);

    public static string Create(string environment)
    {
        var text = $"{Start}{environment}_{RandomNumberGenerator.GetString(Alphabet, IdLength)}_"
            + RandomNumberGenerator.GetString(Alphabet, SecretLength);
        return text + Sum(text);
    }

    /// <summary>Whether this can be a key at all.</summary>
    public static bool IsWellFormed(ReadOnlySpan<char> text) =>
        text.Length == Length
        && (text.StartsWith("vck_live_") || text.StartsWith("vck_test_"))
        && text[PrefixLength] == '_'
        && !text[9..PrefixLength].ContainsAnyExcept(Characters)
        && !text[(PrefixLength + 1)..].ContainsAnyExcept(Characters)
        && text[^SumLength..].SequenceEqual(Sum(text[..^SumLength]));

    /// <summary>What may be shown: enough to tell keys apart, nothing of the secret.</summary>
    public static string PrefixOf(string text) => IsWellFormed(text) ? text[..PrefixLength] : text[..4];

    private static string Sum(ReadOnlySpan<char> text) => string.Create(SumLength, Crc32.Of(text), (sum, crc) =>
    {
        for (var i = sum.Length - 1; i >= 0; i--, crc /= 62)
            sum[i] = Alphabet[(int)(crc % 62)];
    });
}
