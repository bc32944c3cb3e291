using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>What a foreign page can make a browser send does not change anything.</summary>
public sealed class CrossSiteTests
{
    private static readonly CsrfTokens Tokens =
        new(new SecretBox(Options.Create(new SecretOptions { SecretKey = "a-secret-of-tests-that-is-long-enough" })));

    private static readonly Caller Session = new(Guid.NewGuid(), Role.Owner, CredentialKind.Session)
    {
        HolderId = Guid.NewGuid(),
        UserId = Guid.NewGuid(),
        SessionId = Guid.NewGuid(),
    };

    private static readonly Caller Key = new(Guid.NewGuid(), Role.Owner, CredentialKind.ApiKey)
    {
        HolderId = Guid.NewGuid(),
        ApiKeyId = Guid.NewGuid(),
    };

    [Theory]
    [InlineData("POST", "", "https://api.example.com", true)]
    [InlineData("POST", "same-origin", "https://api.example.com", true)]
    [InlineData("POST", "same-site", "https://app.example.com", true)]
    [InlineData("POST", "same-origin", "", true)]
    [InlineData("POST", "none", "", true)]
    [InlineData("POST", "", "", true)]
    [InlineData("GET", "cross-site", "https://evil.example", true)]
    [InlineData("POST", "cross-site", "https://evil.example", false)]
    [InlineData("DELETE", "same-site", "https://evil.example.com", false)]
    [InlineData("POST", "same-site", "http://api.example.com", false)]
    [InlineData("PATCH", "cross-site", "null", false)]
    [InlineData("POST", "cross-site", "", false)]
    [InlineData("POST", "same-site", "", false)]
    public async Task Session_ChangeFromAPage_NeedsAnAllowedOrigin(string method, string site, string origin, bool passes) =>
        Assert.Equal(passes, await PassesAsync(Session, method, site, origin, Tokens.Of(Session)));

    [Fact]
    public async Task Session_WithoutItsToken_ChangesNothing()
    {
        var other = Session with { SessionId = Guid.NewGuid() };
        foreach (var token in new[] { null, "", "x", Tokens.Of(other), Tokens.Of(Session) + "x" })
            Assert.False(await PassesAsync(Session, "POST", "same-origin", "https://api.example.com", token), token);
        Assert.True(await PassesAsync(Session, "GET", "same-origin", "https://api.example.com", null));
    }

    [Theory]
    [InlineData("cross-site", "https://evil.example", false)]
    [InlineData("same-origin", "https://api.example.com", true)]
    [InlineData("", "", true)]
    public async Task SignIn_FromAForeignPage_IsRefused(string site, string origin, bool passes) =>
        Assert.Equal(passes, await PassesAsync(null, "POST", site, origin, null));

    [Fact]
    public async Task Key_FromWhateverPage_NeedsNoToken() =>
        Assert.True(await PassesAsync(Key, "POST", "cross-site", "https://evil.example", null));

    private static async Task<bool> PassesAsync(Caller? caller, string method, string site, string origin, string? token)
    {
        var context = new DefaultHttpContext
        {
            Request = { Method = method, Scheme = "https", Host = new HostString("api.example.com") },
        };
        if (caller is not null)
            context.Features.Set(caller);
        foreach (var (name, value) in new[] { ("Sec-Fetch-Site", site), ("Origin", origin), (CsrfTokens.Header, token) })
        {
            if (!string.IsNullOrEmpty(value))
                context.Request.Headers[name] = value;
        }

        var passed = false;
        var middleware = new CrossSite(
            _ =>
            {
                passed = true;
                return Task.CompletedTask;
            },
            Options.Create(new ProtectionOptions { AllowedOrigins = ["https://app.example.com"] }),
            Tokens);
        try
        {
            await middleware.InvokeAsync(context);
        }
        catch (RequestException refused)
        {
            Assert.Equal(403, refused.Status);
            Assert.NotNull(Suspicion.Of(context));
        }

        return passed;
    }
}
