using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>
/// A JWS in compact form (RFC 7515), taken apart but not believed. A header that would have a verifier fetch or trust a key of the
/// sender's, or that asks for something which is not understood here, makes the whole unreadable.
/// </summary>
internal sealed class CompactJws
{
    private const int MaxLength = 16 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 16, AllowDuplicateProperties = false };
    private static readonly string[] Refused = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"];

    private CompactJws(string algorithm, string? keyId, string? type, byte[] input, byte[] signature, JsonElement payload)
    {
        Algorithm = algorithm;
        KeyId = keyId;
        Type = type;
        Input = input;
        Signature = signature;
        Payload = payload;
    }

    public string Algorithm { get; }

    public string? KeyId { get; }

    public string? Type { get; }

    /// <summary>What is signed.</summary>
    public byte[] Input { get; }

    public byte[] Signature { get; }

    /// <summary>A JSON object.</summary>
    public JsonElement Payload { get; }

    public static bool TryParse(string text, [NotNullWhen(true)] out CompactJws? jws)
    {
        jws = null;
        if (text.Length > MaxLength || text.Split('.', 4) is not [var head, var body, var seal]
            || !Base64Url.TryDecode(head, out var headBytes)
            || !Base64Url.TryDecode(body, out var bodyBytes)
            || !Base64Url.TryDecode(seal, out var signature)
            || signature.Length == 0
            || ReadObject(headBytes) is not { } header
            || ReadObject(bodyBytes) is not { } payload
            || Array.Exists(Refused, name => header.TryGetProperty(name, out _))
            || !TryText(header, "alg", out var algorithm) || algorithm is null
            || !TryText(header, "kid", out var keyId)
            || !TryText(header, "typ", out var type))
        {
            return false;
        }

        jws = new CompactJws(algorithm, keyId, type, Encoding.ASCII.GetBytes($"{head}.{body}"), signature, payload);
        return true;
    }

    private static JsonElement? ReadObject(byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Absent is null; there but no text is wrong.
    private static bool TryText(JsonElement header, string name, out string? text)
    {
        text = null;
        if (!header.TryGetProperty(name, out var value))
            return true;
        if (value.ValueKind != JsonValueKind.String)
            return false;
        try
        {
            text = value.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair.
            return false;
        }
    }
}
