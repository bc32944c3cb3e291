using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Tests.Api.Accounts.OpenIdConnect;

/// <summary>A small OpenID Connect provider on Kestrel that does what a test says, and checks what a client must send.</summary>
internal sealed class FakeProvider : IAsyncDisposable
{
    public const string ClientId = "valuecanvas-client";
    public const string ClientSecret = "secret of the client";

    private readonly WebApplication _app;
    private readonly RSA _rsa = RSA.Create(2048);
    private readonly ECDsa _ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Dictionary<string, (string Challenge, string RedirectUri, JsonObject Claims)> _codes = [];

    private FakeProvider(WebApplication app) => _app = app;

    public string Issuer { get; private set; } = "";

    /// <summary>What discovery answers; a test may change it.</summary>
    public JsonObject Metadata { get; } = [];

    public string Algorithm { get; set; } = "RS256";

    /// <summary>Signs, in the place of the provider.</summary>
    public Func<JsonObject, string>? Sign { get; set; }

    /// <summary>Changes the claims of the ID token.</summary>
    public Action<JsonObject> Claims { get; set; } = _ => { };

    public RSA Rsa => _rsa;

    /// <summary>How often a code was exchanged as it must be.</summary>
    public int Exchanges { get; private set; }

    public static async Task<FakeProvider> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var provider = new FakeProvider(builder.Build());
        provider._app.MapGet("/.well-known/openid-configuration", () => Results.Text(provider.Metadata.ToJsonString(), "application/json"));
        provider._app.MapGet("/keys", () => Results.Text(provider.Keys().ToJsonString(), "application/json"));
        provider._app.MapPost("/token", provider.ExchangeAsync);
        await provider._app.StartAsync(TestContext.Current.CancellationToken);
        provider.Issuer = provider._app.Urls.Single();
        provider.Metadata["issuer"] = provider.Issuer;
        provider.Metadata["authorization_endpoint"] = $"{provider.Issuer}/authorize";
        provider.Metadata["token_endpoint"] = $"{provider.Issuer}/token";
        provider.Metadata["jwks_uri"] = $"{provider.Issuer}/keys";
        return provider;
    }

    /// <summary>The settings under which the Api knows this provider.</summary>
    public (string, string)[] Settings(string name = "fake") =>
    [
        ($"Accounts:OpenIdConnect:{name}:Authority", Issuer),
        ($"Accounts:OpenIdConnect:{name}:ClientId", ClientId),
        ($"Accounts:OpenIdConnect:{name}:ClientSecret", ClientSecret),
    ];

    /// <summary>As an honest provider, whatever the last test made of it.</summary>
    public void Behave()
    {
        Algorithm = "RS256";
        Sign = null;
        Claims = _ => { };
        Exchanges = 0;
    }

    /// <summary>What the provider does when the browser comes: it signs in this person, and sends the browser back.</summary>
    public string Authorize(string location, string subject, string? email, bool verified = true)
    {
        var address = new Uri(location);
        Assert.Equal($"{Issuer}/authorize", address.GetLeftPart(UriPartial.Path));
        var query = QueryHelpers.ParseQuery(address.Query);
        Assert.Equal("code", query["response_type"]);
        Assert.Equal(ClientId, query["client_id"]);
        Assert.Equal("S256", query["code_challenge_method"]);
        Assert.Contains("openid", query["scope"].ToString().Split(' '));
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var claims = new JsonObject
        {
            ["iss"] = Issuer,
            ["aud"] = ClientId,
            ["sub"] = subject,
            ["iat"] = now,
            ["exp"] = now + 300,
            ["nonce"] = query["nonce"].ToString(),
            ["email"] = email,
            ["email_verified"] = verified,
            ["name"] = "Ann Example",
        };
        var code = Guid.NewGuid().ToString("N");
        _codes[code] = (query["code_challenge"].ToString(), query["redirect_uri"].ToString(), claims);
        return QueryHelpers.AddQueryString(
            query["redirect_uri"].ToString(), new Dictionary<string, string?> { ["code"] = code, ["state"] = query["state"].ToString() });
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _rsa.Dispose();
        _ec.Dispose();
    }

    public static string Compact(JsonObject header, JsonObject payload, Func<byte[], byte[]> sign)
    {
        var input = $"{Base64Url.Encode(header.ToJsonString())}.{Base64Url.Encode(payload.ToJsonString())}";
        return $"{input}.{Base64Url.Encode(sign(Encoding.ASCII.GetBytes(input)))}";
    }

    private async Task<IResult> ExchangeAsync(HttpRequest request)
    {
        var form = await request.ReadFormAsync();
        var basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{ClientId}:{Uri.EscapeDataString(ClientSecret)}"));
        if (request.Headers.Authorization != basic || form["grant_type"] != "authorization_code"
            || !_codes.Remove(form["code"].ToString(), out var known)
            || form["redirect_uri"] != known.RedirectUri
            || Base64Url.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString()))) != known.Challenge)
        {
            return Results.Json(new { error = "invalid_grant" }, statusCode: 400);
        }

        Exchanges++;
        Claims(known.Claims);
        return Results.Json(new { access_token = "opaque", token_type = "Bearer", id_token = (Sign ?? SignDefault)(known.Claims) });
    }

    private string SignDefault(JsonObject claims) => Algorithm == "RS256"
        ? Compact(new JsonObject { ["alg"] = "RS256", ["kid"] = "rsa" }, claims, SignRsa)
        : Compact(
            new JsonObject { ["alg"] = "ES256", ["kid"] = "ec", ["typ"] = "JWT" },
            claims,
            input => _ec.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));

    public byte[] SignRsa(byte[] input) => _rsa.SignData(input, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);

    private JsonObject Keys()
    {
        var (rsa, ec) = (_rsa.ExportParameters(false), _ec.ExportParameters(false));
        return new JsonObject
        {
            ["keys"] = new JsonArray(
                new JsonObject
                {
                    ["kty"] = "RSA", ["kid"] = "rsa", ["use"] = "sig",
                    ["n"] = Base64Url.Encode(rsa.Modulus), ["e"] = Base64Url.Encode(rsa.Exponent),
                },
                new JsonObject
                {
                    ["kty"] = "EC", ["kid"] = "ec", ["crv"] = "P-256",
                    ["x"] = Base64Url.Encode(ec.Q.X), ["y"] = Base64Url.Encode(ec.Q.Y),
                }),
        };
    }
}
