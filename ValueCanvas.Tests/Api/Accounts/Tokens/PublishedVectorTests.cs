using System.Text;
using System.Text.Json;
using ValueCanvas.Api.Accounts.OpenIdConnect;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Tests.Api.Accounts.Tokens;

/// <summary>The examples of the RFCs.</summary>
public sealed class PublishedVectorTests
{
    private const string Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    // RFC 7515, A.3.
    private const string Es256 = "eyJhbGciOiJFUzI1NiJ9." + Payload
        + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    private const string Es256Key =
        """
        {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
        """;

    // RFC 7515, A.2.
    private const string Rs256 = "eyJhbGciOiJSUzI1NiJ9." + Payload
        + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBY"
        + "NX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI"
        + "7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    private const string Rs256Modulus =
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
        + "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD"
        + "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

    private const string Rs256Key = $$"""{"kty":"RSA","n":"{{Rs256Modulus}}","e":"AQAB"}""";

    [Theory]
    [InlineData(Es256, Es256Key)]
    [InlineData(Rs256, Rs256Key)]
    public void Verify_ExampleOfRfc7515_Holds(string token, string key)
    {
        Assert.True(CompactJws.TryParse(token, out var jws));

        Assert.True(Key(key).Verify(jws));
        Assert.Equal("joe", new Claims(jws.Payload).Text("iss"));
        Assert.Equal(1300819380, new Claims(jws.Payload).Time("exp")!.Value.ToUnixTimeSeconds());
    }

    [Theory]
    [InlineData(Es256, Es256Key)]
    [InlineData(Rs256, Rs256Key)]
    public void Verify_ExampleWithAnyCharacterChanged_DoesNotHold(string token, string key)
    {
        for (var i = 0; i < token.Length; i++)
        {
            var changed = new StringBuilder(token) { [i] = token[i] == 'A' ? 'B' : 'A' }.ToString();
            Assert.False(CompactJws.TryParse(changed, out var jws) && Key(key).Verify(jws), $"Character {i} does not matter.");
        }
    }

    [Fact]
    public void Verify_KeyOfAnotherAlgorithm_DoesNotHold()
    {
        Assert.True(CompactJws.TryParse(Es256, out var ec));
        Assert.True(CompactJws.TryParse(Rs256, out var rsa));

        Assert.False(Key(Rs256Key).Verify(ec));
        Assert.False(Key(Es256Key).Verify(rsa));
    }

    [Fact]
    public void TryParse_UnsecuredExampleOfRfc7519_IsRefused() =>
        Assert.False(CompactJws.TryParse($"eyJhbGciOiJub25lIn0.{Payload}.", out _));

    [Theory]
    [InlineData(Es256Key)]
    [InlineData(Rs256Key)]
    public void Verify_HmacExampleOfRfc7519_DoesNotHold(string key)
    {
        Assert.True(CompactJws.TryParse(
            $"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{Payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", out var jws));

        Assert.Equal("HS256", jws.Algorithm);
        Assert.False(Key(key).Verify(jws));
    }

    [Fact]
    public void FromJwk_SetOfRfc7517_HasTheKeyForSignaturesAlone()
    {
        const string modulus =
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64t"
            + "Z_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
            + "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        using var set = JsonDocument.Parse(
            $$"""
            {"keys":[
              {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
               "use":"enc","kid":"1"},
              {"kty":"RSA","n":"{{modulus}}",
               "e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}
            """);

        var keys = set.RootElement.GetProperty("keys").EnumerateArray().Select(VerificationKey.FromJwk).OfType<VerificationKey>().ToArray();

        var key = Assert.Single(keys);
        Assert.Equal(("2011-04-29", VerificationKey.Rs256), (key.Id, key.Algorithm));
    }

    [Theory]
    [InlineData("""{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}""")]
    [InlineData("""{"kty":"EC","crv":"P-384","x":"f83O","y":"x_FE"}""")]
    [InlineData(
        """{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","""
        + """ "y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}""")]
    [InlineData("""{"kty":"EC","crv":"P-256","x":5,"y":[]}""")]
    [InlineData("""{"kty":"RSA","n":"AQAB","e":"AQAB"}""")]
    [InlineData("""{"kty":"RSA"}""")]
    [InlineData("""[]""")]
    public void FromJwk_NoKeyForOurAlgorithms_IsNull(string jwk)
    {
        using var document = JsonDocument.Parse(jwk);

        Assert.Null(VerificationKey.FromJwk(document.RootElement));
    }

    /// <summary>RFC 7636, appendix B.</summary>
    [Fact]
    public void Challenge_OfTheVerifierOfRfc7636_IsItsChallenge() => Assert.Equal(
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        new PendingSignIn("", "", "", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "/", null, default).Challenge);

    private static VerificationKey Key(string jwk)
    {
        using var document = JsonDocument.Parse(jwk);
        return VerificationKey.FromJwk(document.RootElement)!;
    }
}
