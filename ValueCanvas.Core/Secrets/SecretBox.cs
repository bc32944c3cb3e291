using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Secrets;

/// <summary>
/// Secrets at rest: AES-256-GCM under keys that HKDF derives from one secret, one for each purpose. What was sealed for one purpose and
/// row opens for no other, so nobody who can write to the database can put one secret in the place of another.
/// </summary>
/// <remarks>A sealed value is a version, a nonce of 12 random bytes, the ciphertext, and a tag of 16 bytes.</remarks>
public sealed class SecretBox(IOptions<SecretOptions> options)
{
    private const byte Version = 1;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const int KeyBytes = 32;

    private readonly byte[]? _root = options.Value.SecretKey is { } secret
        ? HKDF.Extract(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), "valuecanvas secrets"u8.ToArray())
        : null;

    /// <summary>There is a secret to derive keys from.</summary>
    public bool IsConfigured => _root is not null;

    /// <summary>Sealed for this purpose and row.</summary>
    public byte[] Seal(string purpose, string row, ReadOnlySpan<byte> secret)
    {
        var box = new byte[1 + NonceBytes + secret.Length + TagBytes];
        box[0] = Version;
        var nonce = box.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(DeriveKey(purpose), TagBytes);
        aes.Encrypt(nonce, secret, box.AsSpan(1 + NonceBytes, secret.Length), box.AsSpan(box.Length - TagBytes), About(purpose, row));
        return box;
    }

    /// <summary>What was sealed for this purpose and row.</summary>
    /// <exception cref="CryptographicException">
    /// There is no secret here; or it was sealed with another, for another purpose or row, or was changed.
    /// </exception>
    public byte[] Open(string purpose, string row, ReadOnlySpan<byte> box)
    {
        if (box.Length < 1 + NonceBytes + TagBytes || box[0] != Version)
            throw new CryptographicException("This is not a sealed secret.");
        var secret = new byte[box.Length - 1 - NonceBytes - TagBytes];
        using var aes = new AesGcm(DeriveKey(purpose), TagBytes);
        aes.Decrypt(
            box.Slice(1, NonceBytes), box.Slice(1 + NonceBytes, secret.Length), box[^TagBytes..], secret, About(purpose, row));
        return secret;
    }

    /// <summary>32 bytes that are the same in every instance: a key for HMACs, say. No two purposes may share a name.</summary>
    public byte[] DeriveKey(string purpose) =>
        HKDF.Expand(
            HashAlgorithmName.SHA256, _root ?? throw new CryptographicException("Accounts:SecretKey is not set."), KeyBytes,
            Encoding.UTF8.GetBytes(purpose));

    private static byte[] About(string purpose, string row) => Encoding.UTF8.GetBytes($"{purpose}\0{row}");
}
