using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>Encrypts what goes to Redis for one place there: what was moved to another, or changed, does not open.</summary>
internal sealed class Seal
{
    private const byte Plain = 1;
    private const byte Sealed = 2;
    private const int NonceBytes = 12;
    private const int MarkBytes = 16;
    private const int Head = 1 + NonceBytes + MarkBytes;

    private readonly byte[]? _key;

    /// <param name="secret">What Api and Worker share; null or empty: nothing is encrypted.</param>
    public Seal(string? secret) => _key = string.IsNullOrEmpty(secret)
        ? null
        : HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: "valuecanvas response cache"u8.ToArray());

    public byte[] Close(ReadOnlySpan<byte> content, ReadOnlySpan<byte> place)
    {
        if (_key is null)
            return [Plain, .. content];
        var closed = new byte[Head + content.Length];
        closed[0] = Sealed;
        var nonce = closed.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(_key, MarkBytes);
        cipher.Encrypt(nonce, content, closed.AsSpan(Head), closed.AsSpan(1 + NonceBytes, MarkBytes), place);
        return closed;
    }

    /// <summary>Null: it was not closed by this key for this place.</summary>
    public byte[]? Open(ReadOnlySpan<byte> closed, ReadOnlySpan<byte> place)
    {
        if (_key is null)
            return closed is [Plain, ..] ? closed[1..].ToArray() : null;
        if (closed.Length < Head || closed[0] != Sealed)
            return null;
        var content = new byte[closed.Length - Head];
        using var cipher = new AesGcm(_key, MarkBytes);
        try
        {
            cipher.Decrypt(closed.Slice(1, NonceBytes), closed[Head..], closed.Slice(1 + NonceBytes, MarkBytes), content, place);
        }
        catch (CryptographicException)
        {
            return null;
        }

        return content;
    }
}
