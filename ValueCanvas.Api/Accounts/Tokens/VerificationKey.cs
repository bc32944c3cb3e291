using System.Security.Cryptography;
using System.Text.Json;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>
/// A public key and the one algorithm that it is for: a signature counts only where its header names just that one, so no key can be used
/// as another kind's.
/// </summary>
internal sealed class VerificationKey
{
    public const string Es256 = "ES256";
    public const string Rs256 = "RS256";

    private const int Es256SignatureBytes = 64;
    private const int MinRsaBits = 2048;
    private const int MaxRsaBits = 8192;

    private readonly AsymmetricAlgorithm _key;
    private readonly Lock _lock = new();

    private VerificationKey(string? id, string algorithm, AsymmetricAlgorithm key)
    {
        Id = id;
        Algorithm = algorithm;
        _key = key;
    }

    public string? Id { get; }

    public string Algorithm { get; }

    public static VerificationKey Of(string? id, ECDsa key) => new(id, Es256, key);

    /// <summary>A key of a set (RFC 7517) that can verify ES256 or RS256; null for any other, which is no fault of the set.</summary>
    public static VerificationKey? FromJwk(JsonElement jwk)
    {
        if (jwk.ValueKind != JsonValueKind.Object || Text(jwk, "use") is not (null or "sig"))
            return null;
        try
        {
            return (Text(jwk, "kty"), Text(jwk, "alg") ?? "") switch
            {
                ("EC", "" or Es256) when Text(jwk, "crv") == "P-256" => new(Text(jwk, "kid"), Es256, ReadEc(jwk)),
                ("RSA", "" or Rs256) when ReadRsa(jwk) is { } rsa => new(Text(jwk, "kid"), Rs256, rsa),
                _ => null,
            };
        }
        catch (Exception exception) when (exception is CryptographicException or FormatException)
        {
            return null;
        }
    }

    public bool Verify(CompactJws jws)
    {
        if (jws.Algorithm != Algorithm)
            return false;
        // Only a token's first time comes here, and not every platform's keys may be used by two at once.
        lock (_lock)
        {
            return _key switch
            {
                ECDsa ec => jws.Signature.Length == Es256SignatureBytes && ec.VerifyData(
                    jws.Input, jws.Signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
                RSA rsa => rsa.VerifyData(jws.Input, jws.Signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
                _ => false,
            };
        }
    }

    private static ECDsa ReadEc(JsonElement jwk) => ECDsa.Create(new ECParameters
    {
        Curve = ECCurve.NamedCurves.nistP256,
        Q = new ECPoint { X = Bytes(jwk, "x"), Y = Bytes(jwk, "y") },
    });

    private static RSA? ReadRsa(JsonElement jwk)
    {
        var (modulus, exponent) = (Bytes(jwk, "n"), Bytes(jwk, "e"));
        if (modulus.Length * 8 is < MinRsaBits or > MaxRsaBits || exponent.Length > 8)
            return null;
        return RSA.Create(new RSAParameters { Modulus = modulus, Exponent = exponent });
    }

    private static byte[] Bytes(JsonElement jwk, string name) => Base64Url.TryDecode(Text(jwk, name), out var bytes) && bytes.Length > 0
        ? bytes
        : throw new FormatException($"The key has no {name}.");

    private static string? Text(JsonElement jwk, string name) =>
        jwk.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
