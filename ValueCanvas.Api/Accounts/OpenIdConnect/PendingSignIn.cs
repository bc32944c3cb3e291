using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>
/// A sign-in that is under way at a provider. It is kept by the browser that began it, sealed: so it works at every instance, and nobody
/// can finish in one browser what was begun in another.
/// </summary>
/// <param name="Provider">Where.</param>
/// <param name="State">What comes back with the browser.</param>
/// <param name="Nonce">What comes back in the ID token.</param>
/// <param name="Verifier">What the code is exchanged with (PKCE).</param>
/// <param name="ReturnTo">The local path that the browser goes to in the end.</param>
/// <param name="LinkTo">The user, signed in already, to whom the identity is to belong.</param>
/// <param name="Until">When it is too late.</param>
internal sealed record PendingSignIn(
    string Provider, string State, string Nonce, string Verifier, string ReturnTo, Guid? LinkTo, DateTimeOffset Until)
{
    private const string CookieName = "__Host-vc-oidc";
    private const string Purpose = "oidc-sign-in";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public string Challenge => Base64Url.Encode(SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(Verifier)));

    public static PendingSignIn Begin(string provider, string returnTo, Guid? linkTo, DateTimeOffset now) =>
        new(provider, Random(), Random(), Random(), returnTo, linkTo, now + Patience);

    public void Keep(HttpResponse response, SecretBox box) => response.Cookies.Append(
        CookieName,
        Base64Url.Encode(box.Seal(Purpose, "", JsonSerializer.SerializeToUtf8Bytes(this, PendingContext.Default.PendingSignIn))),
        Options(Patience));

    /// <summary>What the browser has kept, and will not send again; null where it has nothing that holds.</summary>
    public static PendingSignIn? Take(HttpContext context, SecretBox box, DateTimeOffset now)
    {
        if (context.Request.Cookies[CookieName] is not { } text)
            return null;
        context.Response.Cookies.Delete(CookieName, Options(null));
        if (!Base64Url.TryDecode(text, out var sealedBytes))
            return null;
        try
        {
            var pending = JsonSerializer.Deserialize(box.Open(Purpose, "", sealedBytes), PendingContext.Default.PendingSignIn);
            return pending?.Until > now ? pending : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    // Lax: the browser comes back from another site.
    private static CookieOptions Options(TimeSpan? maxAge) =>
        new() { HttpOnly = true, Secure = true, SameSite = SameSiteMode.Lax, Path = "/", MaxAge = maxAge };

    private static string Random() => Base64Url.Encode(RandomNumberGenerator.GetBytes(32));
}

[JsonSerializable(typeof(PendingSignIn))]
internal sealed partial class PendingContext : JsonSerializerContext;
