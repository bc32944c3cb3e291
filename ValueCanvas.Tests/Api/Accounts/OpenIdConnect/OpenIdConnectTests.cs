using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Accounts.OpenIdConnect;

/// <summary>A provider, and the Api that knows it, for all tests that leave both as they are.</summary>
public sealed class OpenIdConnectFixture(ServersFixture servers) : IAsyncLifetime
{
    internal FakeProvider Provider { get; private set; } = null!;

    internal AccountsApi Api { get; private set; } = null!;

    public MigratedDatabase Database { get; } = new(servers);

    public async ValueTask InitializeAsync()
    {
        await Database.InitializeAsync();
        Provider = await FakeProvider.StartAsync();
        Api = new AccountsApi(Database.App, Database.Redis, Provider.Settings());
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        await Provider.DisposeAsync();
    }
}

public sealed class OpenIdConnectTests : IClassFixture<OpenIdConnectFixture>
{
    private readonly FakeProvider _provider;
    private readonly AccountsApi _api;
    private readonly MigratedDatabase _database;

    public OpenIdConnectTests(OpenIdConnectFixture fixture)
    {
        (_provider, _api, _database) = (fixture.Provider, fixture.Api, fixture.Database);
        _provider.Behave();
    }

    [Theory]
    [InlineData("RS256")]
    [InlineData("ES256")]
    public async Task SignIn_NewPerson_HasAnAccountAndCookies(string algorithm)
    {
        _provider.Algorithm = algorithm;
        var (email, subject) = (AccountsApi.NewEmail(), Guid.NewGuid().ToString());

        using var back = await SignInAsync(subject, email, returnTo: "/canvases?new=1");

        Assert.Equal(HttpStatusCode.Found, back.StatusCode);
        Assert.Equal("/canvases?new=1", back.Headers.Location?.OriginalString);
        var me = await MeAsync(back);
        Assert.Equal(email, me.GetProperty("email").GetString());
        Assert.Equal("owner", me.GetProperty("tenant").GetProperty("role").GetString());
        Assert.Equal(1, _provider.Exchanges);
    }

    [Fact]
    public async Task SignIn_Again_IsTheSameAccountWhateverTheAddressIsNow()
    {
        var subject = Guid.NewGuid().ToString();
        var first = await MeAsync(await SignInAsync(subject, AccountsApi.NewEmail()));
        var second = await MeAsync(await SignInAsync(subject, AccountsApi.NewEmail(), verified: false));

        Assert.Equal(first.GetProperty("userId").GetGuid(), second.GetProperty("userId").GetGuid());
    }

    /// <summary>Whoever registers somebody else's address with a password must not share the account of who proves to have it.</summary>
    [Fact]
    public async Task SignIn_AddressThatIsRegisteredButNotVerified_IsRefused()
    {
        var squatter = await _api.SignUpAsync();

        await ApiHost.ProblemAsync(await SignInAsync(Guid.NewGuid().ToString(), squatter.Email), 403);

        Assert.Equal(0, await _database.ScalarAsync<long>($"SELECT count(*) FROM user_logins WHERE user_id = '{squatter.User}'"));
    }

    [Fact]
    public async Task SignIn_AddressThatBothHaveVerified_JoinsTheAccount()
    {
        var ann = await _api.SignUpAsync();
        await MigratedDatabase.ExecuteAsync(_database.Admin, $"UPDATE users SET email_confirmed = true WHERE id = '{ann.User}'");

        var me = await MeAsync(await SignInAsync(Guid.NewGuid().ToString(), ann.Email.ToUpperInvariant()));

        Assert.Equal(ann.User, me.GetProperty("userId").GetGuid());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SignIn_AddressNotVerifiedByTheProvider_IsRefused(bool known)
    {
        var ann = await _api.SignUpAsync();
        await MigratedDatabase.ExecuteAsync(_database.Admin, $"UPDATE users SET email_confirmed = true WHERE id = '{ann.User}'");

        await ApiHost.ProblemAsync(
            await SignInAsync(Guid.NewGuid().ToString(), known ? ann.Email : AccountsApi.NewEmail(), verified: false), 403);
    }

    [Fact]
    public async Task Link_SignedInUser_SignsInByTheProviderFromThenOn()
    {
        var ann = await _api.SignUpAsync();
        var subject = Guid.NewGuid().ToString();
        using var begun = await _api.PostAsync("/api/auth/oidc/fake/link", new { returnTo = "/account" }, ann.Access);
        var cookie = Cookies(begun);
        var location = (await AccountsApi.DataAsync(begun)).GetProperty("url").GetString()!;

        using var back = await CallbackAsync(_provider.Authorize(location, subject, "another@example.com", verified: false), cookie);

        Assert.Equal("/account", back.Headers.Location?.OriginalString);
        var me = await MeAsync(await SignInAsync(subject, null));
        Assert.Equal(ann.User, me.GetProperty("userId").GetGuid());
    }

    [Fact]
    public async Task Link_IdentityOfAnotherAccount_IsRefused()
    {
        var (ann, subject) = (await _api.SignUpAsync(), Guid.NewGuid().ToString());
        await MeAsync(await SignInAsync(subject, AccountsApi.NewEmail()));
        using var begun = await _api.PostAsync("/api/auth/oidc/fake/link", "{}", ann.Access);
        var cookie = Cookies(begun);
        var location = (await AccountsApi.DataAsync(begun)).GetProperty("url").GetString()!;

        await ApiHost.ProblemAsync(await CallbackAsync(_provider.Authorize(location, subject, null), cookie), 403);
    }

    [Theory]
    [InlineData("nonce", "\"another\"")]
    [InlineData("nonce", "null")]
    [InlineData("aud", "\"another-client\"")]
    [InlineData("aud", "[\"another-client\"]")]
    [InlineData("aud", "[\"valuecanvas-client\",\"another-client\"]")]
    [InlineData("azp", "\"another-client\"")]
    [InlineData("iss", "\"http://127.0.0.1:1\"")]
    [InlineData("iss", "null")]
    [InlineData("exp", "1")]
    [InlineData("exp", "null")]
    [InlineData("iat", "1")]
    [InlineData("iat", "9999999999")]
    [InlineData("nbf", "9999999999")]
    [InlineData("sub", "null")]
    [InlineData("sub", "\"\"")]
    [InlineData("sub", "5")]
    public async Task IdToken_ClaimWrong_Is401(string claim, string value)
    {
        _provider.Claims = claims => claims[claim] = JsonNode.Parse(value);

        await ApiHost.ProblemAsync(await SignInAsync(Guid.NewGuid().ToString(), AccountsApi.NewEmail()), 401);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("hs256")]
    [InlineData("wrong-key")]
    [InlineData("wrong-algorithm")]
    [InlineData("unknown-key")]
    [InlineData("own-key")]
    [InlineData("access-token")]
    public async Task IdToken_SignatureWrong_Is401(string attack)
    {
        _provider.Sign = claims => attack switch
        {
            "none" => FakeProvider.Compact(new JsonObject { ["alg"] = "none" }, claims, _ => [0]),
            "hs256" => FakeProvider.Compact(
                new JsonObject { ["alg"] = "HS256", ["kid"] = "rsa" },
                claims,
                input => HMACSHA256.HashData(Encoding.ASCII.GetBytes(_provider.Rsa.ExportRSAPublicKeyPem()), input)),
            "wrong-key" => FakeProvider.Compact(new JsonObject { ["alg"] = "RS256", ["kid"] = "rsa" }, claims, SignByAnother),
            "wrong-algorithm" => FakeProvider.Compact(new JsonObject { ["alg"] = "ES256", ["kid"] = "rsa" }, claims, _provider.SignRsa),
            "unknown-key" => FakeProvider.Compact(new JsonObject { ["alg"] = "RS256", ["kid"] = "none such" }, claims, _provider.SignRsa),
            "own-key" => FakeProvider.Compact(
                new JsonObject { ["alg"] = "RS256", ["kid"] = "rsa", ["jwk"] = new JsonObject { ["kty"] = "RSA" } },
                claims, _provider.SignRsa),
            _ => FakeProvider.Compact(new JsonObject { ["alg"] = "RS256", ["kid"] = "rsa", ["typ"] = "at+jwt" }, claims, _provider.SignRsa),
        };

        await ApiHost.ProblemAsync(await SignInAsync(Guid.NewGuid().ToString(), AccountsApi.NewEmail()), 401);

        static byte[] SignByAnother(byte[] input)
        {
            using var other = RSA.Create(2048);
            return other.SignData(input, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
    }

    [Fact]
    public async Task Callback_InAnotherBrowser_Is401()
    {
        var (location, _) = await BeginAsync();
        var callback = _provider.Authorize(location, Guid.NewGuid().ToString(), AccountsApi.NewEmail());

        await ApiHost.ProblemAsync(await CallbackAsync(callback, cookie: null), 401);
        var (_, otherCookie) = await BeginAsync();
        await ApiHost.ProblemAsync(await CallbackAsync(callback, otherCookie), 401);
        Assert.Equal(0, _provider.Exchanges);
    }

    [Theory]
    [InlineData("state", "another")]
    [InlineData("state", null)]
    [InlineData("code", null)]
    [InlineData("code", "another")]
    [InlineData("iss", "https://another.example")]
    [InlineData("error", "access_denied")]
    public async Task Callback_ParameterWrong_IsRefused(string name, string? value)
    {
        var (location, cookie) = await BeginAsync();
        var callback = new Uri(_provider.Authorize(location, Guid.NewGuid().ToString(), AccountsApi.NewEmail()));
        var query = QueryHelpers.ParseQuery(callback.Query).ToDictionary(pair => pair.Key, pair => (string?)pair.Value.ToString());
        query[name] = value;

        using var answer = await CallbackAsync(
            QueryHelpers.AddQueryString(callback.GetLeftPart(UriPartial.Path), query.Where(pair => pair.Value is not null)), cookie);

        await ApiHost.ProblemAsync(answer, name == "code" && value is not null ? 502 : 401);
        Assert.False(
            answer.Headers.TryGetValues("Set-Cookie", out var cookies)
                && cookies.Any(set => set.Contains("vc-access=eyJ", StringComparison.Ordinal)));
    }

    /// <summary>What one instance has sealed every other opens, and so is the token that belongs to the session.</summary>
    [Fact]
    public async Task Callback_AtAnotherInstance_SignsIn()
    {
        await using var other = new AccountsApi(_database.App, _database.Redis, _provider.Settings());
        var (location, cookie) = await BeginAsync();
        // The provider sends the browser to where it began: a balancer in front of both would choose the other.
        var callback = new Uri(_provider.Authorize(location, Guid.NewGuid().ToString(), AccountsApi.NewEmail()));

        using var back = await other.SendAsync(HttpMethod.Get, callback.PathAndQuery, cookie: cookie, host: callback.Authority);

        Assert.Equal(HttpStatusCode.Found, back.StatusCode);
        var cookies = Cookies(back);
        Assert.Equal(await CsrfAsync(other, cookies), await CsrfAsync(_api, cookies));

        static async Task<string?> CsrfAsync(AccountsApi api, string cookies) =>
            (await AccountsApi.DataAsync(await api.SendAsync(HttpMethod.Get, "/api/auth/csrf", cookie: cookies)))
            .GetProperty("token").GetString();
    }

    /// <summary>The browser began at an honest provider; the answer comes from one that somebody else controls.</summary>
    [Fact]
    public async Task Callback_CodeOfAnotherProvider_Is401()
    {
        await using var evil = await FakeProvider.StartAsync();
        await using var api = new AccountsApi(_database.App, _database.Redis, [.. _provider.Settings(), .. evil.Settings("evil")]);
        using var begun = await api.GetAsync("/api/auth/oidc/fake");
        var callback = _provider.Authorize(begun.Headers.Location!.OriginalString, Guid.NewGuid().ToString(), AccountsApi.NewEmail())
            .Replace("/oidc/fake/", "/oidc/evil/", StringComparison.Ordinal);

        await ApiHost.ProblemAsync(await api.SendAsync(HttpMethod.Get, callback, cookie: Cookies(begun)), 401);
        Assert.Equal((0, 0), (_provider.Exchanges, evil.Exchanges));
    }

    [Fact]
    public async Task Callback_ProviderThatNamesItselfButDoesNot_Is401()
    {
        await using var other = await FakeProvider.StartAsync();
        other.Metadata["authorization_response_iss_parameter_supported"] = true;
        await using var api = new AccountsApi(_database.App, _database.Redis, other.Settings());
        using var begun = await api.GetAsync("/api/auth/oidc/fake");
        var callback = other.Authorize(begun.Headers.Location!.OriginalString, Guid.NewGuid().ToString(), AccountsApi.NewEmail());

        await ApiHost.ProblemAsync(await api.SendAsync(HttpMethod.Get, callback, cookie: Cookies(begun)), 401);
        Assert.Equal(0, other.Exchanges);
    }

    [Theory]
    [InlineData("//evil.example")]
    [InlineData("/\\evil.example")]
    [InlineData("https://evil.example")]
    [InlineData("javascript:alert(1)")]
    [InlineData("/a b")]
    public async Task Begin_ReturnToAnotherHost_Is400(string returnTo) => await ApiHost.ProblemAsync(
        await _api.GetAsync($"/api/auth/oidc/fake?returnTo={Uri.EscapeDataString(returnTo)}"), 400);

    [Fact]
    public async Task Begin_NoSuchProvider_Is404() => await ApiHost.ProblemAsync(await _api.GetAsync("/api/auth/oidc/none"), 404);

    [Fact]
    public async Task Begin_ProviderThatSaysWhatCannotBe_Is502()
    {
        await using var other = await FakeProvider.StartAsync();
        await using var api = new AccountsApi(_database.App, _database.Redis, other.Settings());
        foreach (var (name, value) in new[]
        {
            ("issuer", "https://another.example"), ("token_endpoint", "http://10.0.0.1/token"), ("jwks_uri", "file:///etc/passwd"),
        })
        {
            var honest = (string?)other.Metadata[name];
            other.Metadata[name] = value;
            await ApiHost.ProblemAsync(await api.GetAsync("/api/auth/oidc/fake"), 502);
            other.Metadata[name] = honest;
        }

        // What was wrong is not kept.
        using var begun = await api.GetAsync("/api/auth/oidc/fake");
        Assert.Equal(HttpStatusCode.Found, begun.StatusCode);
    }

    [Fact]
    public async Task Begin_ProviderAway_Is502()
    {
        var settings = _provider.Settings();
        settings[0].Item2 = "http://127.0.0.1:9";
        await using var api = new AccountsApi(_database.App, _database.Redis, settings);

        using var answer = await api.GetAsync("/api/auth/oidc/fake");

        await ApiHost.ProblemAsync(answer, 502);
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    [Fact]
    public async Task List_Providers_AreNamed()
    {
        var items = (await AccountsApi.DataAsync(await _api.GetAsync("/api/auth/oidc"))).GetProperty("items");

        Assert.Equal("fake", Assert.Single(items.EnumerateArray()).GetProperty("name").GetString());
    }

    private async Task<HttpResponseMessage> SignInAsync(string subject, string? email, bool verified = true, string? returnTo = null)
    {
        var (location, cookie) = await BeginAsync(returnTo);
        return await CallbackAsync(_provider.Authorize(location, subject, email, verified), cookie);
    }

    private async Task<(string Location, string Cookie)> BeginAsync(string? returnTo = null)
    {
        using var begun = await _api.GetAsync(
            "/api/auth/oidc/fake" + (returnTo is null ? "" : $"?returnTo={Uri.EscapeDataString(returnTo)}"));
        Assert.Equal(HttpStatusCode.Found, begun.StatusCode);
        return (begun.Headers.Location!.OriginalString, Cookies(begun));
    }

    private Task<HttpResponseMessage> CallbackAsync(string address, string? cookie) =>
        _api.SendAsync(HttpMethod.Get, address, cookie: cookie);

    private async Task<System.Text.Json.JsonElement> MeAsync(HttpResponseMessage signedIn)
    {
        Assert.True(
            signedIn.StatusCode == HttpStatusCode.Found,
            await signedIn.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return await AccountsApi.DataAsync(await _api.SendAsync(HttpMethod.Get, "/api/auth/me", cookie: Cookies(signedIn)));
    }

    private static string Cookies(HttpResponseMessage response) =>
        string.Join(
            "; ",
            response.Headers.GetValues("Set-Cookie").Select(cookie => cookie.Split(';')[0]).Where(cookie => !cookie.EndsWith('=')));
}
