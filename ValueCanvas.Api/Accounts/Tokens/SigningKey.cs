using System.Security.Cryptography;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>A key that signs from one moment to another, and verifies somewhat longer.</summary>
internal sealed class SigningKey
{
    private readonly ECDsa _private;
    private readonly Lock _lock = new();

    private SigningKey(string id, ECDsa key, DateTimeOffset activeFrom, DateTimeOffset activeUntil)
    {
        Id = id;
        _private = key;
        ActiveFrom = activeFrom;
        ActiveUntil = activeUntil;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        Jwk = new PublicJwk("EC", "P-256", Base64Url.Encode(point.X), Base64Url.Encode(point.Y), id, "sig", VerificationKey.Es256);
        Verification = VerificationKey.Of(id, ECDsa.Create(key.ExportParameters(includePrivateParameters: false)));
    }

    public string Id { get; }

    public DateTimeOffset ActiveFrom { get; }

    public DateTimeOffset ActiveUntil { get; }

    public VerificationKey Verification { get; }

    public PublicJwk Jwk { get; }

    /// <summary>A new key; its id is its thumbprint (RFC 7638), so it names this key and no other.</summary>
    public static SigningKey Create(DateTimeOffset activeFrom, DateTimeOffset activeUntil)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return new SigningKey(Thumbprint(point), key, activeFrom, activeUntil);
    }

    /// <exception cref="CryptographicException">These bytes are no key.</exception>
    public static SigningKey Import(string id, byte[] pkcs8, DateTimeOffset activeFrom, DateTimeOffset activeUntil)
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(pkcs8, out _);
        return new SigningKey(id, key, activeFrom, activeUntil);
    }

    public byte[] Export() => _private.ExportPkcs8PrivateKey();

    public byte[] Sign(ReadOnlySpan<byte> input)
    {
        lock (_lock)
        {
            return _private.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
    }

    internal static string Thumbprint(ECPoint point) => Base64Url.Encode(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(
        $$"""{"crv":"P-256","kty":"EC","x":"{{Base64Url.Encode(point.X)}}","y":"{{Base64Url.Encode(point.Y)}}"}""")));
}

/// <summary>A public key as RFC 7517 writes it.</summary>
internal sealed record PublicJwk(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);
