using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Protection;

/// <summary>The token that belongs to a session: an HMAC of its id, so nothing is stored, and every instance knows it.</summary>
internal sealed class CsrfTokens(SecretBox secrets)
{
    public const string Header = "X-CSRF-Token";

    private readonly byte[] _key = secrets.DeriveKey("csrf token");

    /// <summary>Null where there is no session.</summary>
    public string? Of(Caller caller) =>
        caller.SessionId is { } session ? Base64Url.EncodeToString(HMACSHA256.HashData(_key, session.ToByteArray())) : null;

    public bool Fits(Caller caller, string? token) =>
        Of(caller) is { } expected && !string.IsNullOrEmpty(token)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(token));
}
