using System.Security.Cryptography;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// The content security policy of an answer. What is no page may load, frame and submit nothing; a page that asks for a nonce may run the
/// scripts and styles that carry it, and those alone.
/// </summary>
internal sealed class PageNonce
{
    private const string Data = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox";

    private readonly string _value = Convert.ToBase64String(RandomNumberGenerator.GetBytes(16));

    private PageNonce()
    {
    }

    /// <summary>For the <c>nonce</c> attributes of the page that this request is answered with; the same on each call.</summary>
    public static string Of(HttpContext context)
    {
        if (context.Features.Get<PageNonce>() is not { } nonce)
            context.Features.Set(nonce = new PageNonce());
        return nonce._value;
    }

    public static string PolicyOf(HttpContext context) => context.Features.Get<PageNonce>() is not { } nonce
        ? Data
        : $"default-src 'none'; script-src 'nonce-{nonce._value}' 'strict-dynamic'; style-src 'nonce-{nonce._value}'; "
            + "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
}
