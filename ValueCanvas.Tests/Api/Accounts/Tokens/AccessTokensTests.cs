using System.Security.Cryptography;
using System.Text;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Accounts.Tokens;

public sealed class AccessTokensTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>, IAsyncDisposable
{
    private const string Header = """{"alg":"ES256","typ":"at+jwt","kid":"KID"}""";

    private readonly TokenBench _bench = new(database.App);

    private static long Now => TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Fact]
    public async Task Validate_IssuedToken_SaysWhoAndWhatTheyMay()
    {
        var who = await TokenBench.SignInAsync(database, "admin");

        var token = await _bench.ValidateAsync(await _bench.IssueAsync(who));

        Assert.NotNull(token);
        Assert.Equal(
            (who.User, who.Tenant, who.Session, Role.Admin, false),
            (token.UserId, token.TenantId, token.SessionId, token.Role, token.IsOperator));
        Assert.InRange((token.ExpiresAt - TimeProvider.System.GetUtcNow()).TotalMinutes, 9, 10);
    }

    /// <summary>The control of the tests below: a token made by hand holds where nothing is wrong with it.</summary>
    [Fact]
    public async Task Validate_TokenMadeByHand_Holds()
    {
        var who = await TokenBench.SignInAsync(database);

        Assert.NotNull(await _bench.ValidateAsync(await _bench.SignAsync(Header, who.Payload(Now, Now + 600))));
    }

    [Theory]
    [InlineData("""{"alg":"none","typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"ES384","typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"RS256","typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"es256","typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":["ES256"],"typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"typ":"at+jwt","kid":"KID"}""")]
    [InlineData("""{"alg":"ES256","kid":"KID"}""")]
    [InlineData("""{"alg":"ES256","typ":"JWT","kid":"KID"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"another"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"../../dev/null"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":5}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"\ud800"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","jku":"http://127.0.0.1:9/keys"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","x5u":"http://127.0.0.1:9/keys"}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","jwk":{"kty":"EC"}}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","x5c":[]}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","crit":["exp"]}""")]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"KID","alg":"ES256"}""")]
    [InlineData("""[]""")]
    [InlineData("""{""")]
    public async Task Validate_HeaderThatAsksForMore_IsRefused(string header)
    {
        var who = await TokenBench.SignInAsync(database);

        Assert.Null(await _bench.ValidateAsync(await _bench.SignAsync(header, who.Payload(Now, Now + 600))));
    }

    [Theory]
    [InlineData("\"exp\":", "\"exp\":1,\"x\":")]
    [InlineData("\"exp\":", "\"x\":")]
    [InlineData("\"exp\":", "\"exp\":\"9999999999\",\"x\":")]
    [InlineData("\"exp\":", "\"exp\":1e300,\"x\":")]
    [InlineData("\"nbf\":", "\"nbf\":9999999999,\"x\":")]
    [InlineData("\"nbf\":", "\"x\":")]
    [InlineData("\"iat\":", "\"iat\":9999999999,\"x\":")]
    [InlineData("\"aud\":\"valuecanvas-api\"", "\"aud\":\"another-api\"")]
    [InlineData("\"aud\":\"valuecanvas-api\"", "\"aud\":[\"valuecanvas-api\",\"another-api\"]")]
    [InlineData("\"iss\":\"valuecanvas\"", "\"iss\":\"Valuecanvas\"")]
    [InlineData("\"iss\":\"valuecanvas\"", "\"iss\":\"another\"")]
    [InlineData("\"sub\":", "\"sub\":\"00000000-0000-0000-0000-000000000000\",\"x\":")]
    [InlineData("\"sub\":", "\"sub\":\"{0}\",\"x\":")]
    [InlineData("\"sid\":", "\"sid\":\"00000000-0000-0000-0000-000000000000\",\"x\":")]
    [InlineData("\"tid\":", "\"tid\":\"00000000-0000-0000-0000-000000000001\",\"x\":")]
    [InlineData("\"tid\":", "\"x\":")]
    public async Task Validate_ClaimWrong_IsRefused(string claim, string instead)
    {
        var who = await TokenBench.SignInAsync(database);

        Assert.Null(await _bench.ValidateAsync(
            await _bench.SignAsync(Header, who.Payload(Now, Now + 600).Replace(claim, instead, StringComparison.Ordinal))));
    }

    [Fact]
    public async Task Validate_KeyOfSomebodyElse_IsRefused()
    {
        var who = await TokenBench.SignInAsync(database);
        var own = await _bench.Keys.CurrentAsync(TestContext.Current.CancellationToken);
        var other = SigningKey.Create(own.ActiveFrom, own.ActiveUntil);

        Assert.Null(await _bench.ValidateAsync(await _bench.SignAsync(
            Header.Replace("KID", own.Id, StringComparison.Ordinal), who.Payload(Now, Now + 600), other)));
    }

    [Fact]
    public async Task Validate_HmacUnderThePublicKey_IsRefused()
    {
        var who = await TokenBench.SignInAsync(database);
        var own = await _bench.Keys.CurrentAsync(TestContext.Current.CancellationToken);
        var input = Base64Url.Encode(
            Header.Replace("KID", own.Id, StringComparison.Ordinal).Replace("ES256", "HS256", StringComparison.Ordinal))
            + "." + Base64Url.Encode(who.Payload(Now, Now + 600));
        foreach (var key in new[] { own.Jwk.X, own.Jwk.Y, own.Id, $"{own.Jwk.X}{own.Jwk.Y}" })
        {
            var mac = HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), Encoding.ASCII.GetBytes(input));
            Assert.Null(await _bench.ValidateAsync($"{input}.{Base64Url.Encode(mac)}"));
        }
    }

    [Fact]
    public async Task Validate_SignatureOfZerosOrOfAnotherForm_IsRefused()
    {
        var token = await _bench.IssueAsync(await TokenBench.SignInAsync(database));
        var (input, signature) = (token[..token.LastIndexOf('.')], token[(token.LastIndexOf('.') + 1)..]);

        foreach (var other in new[]
        {
            "", Base64Url.Encode(new byte[64]), Base64Url.Encode(new byte[70]), signature[..^2],
            signature + "AA", signature + "=", signature + ".", $" {signature}", $"{signature}.{signature}",
        })
        {
            Assert.Null(await _bench.ValidateAsync($"{input}.{other}"));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("...")]
    [InlineData("a.b")]
    [InlineData("ünïcode.ünïcode.ünïcode")]
    [InlineData("e30.e30.e30")]
    public async Task Validate_NoToken_IsRefused(string text) => Assert.Null(await _bench.ValidateAsync(text));

    [Fact]
    public async Task Validate_HugeText_IsRefused() => Assert.Null(await _bench.ValidateAsync(new string('a', 10_000_000)));

    [Fact]
    public async Task Validate_SessionEnded_IsRefusedOnceThatIsForgotten()
    {
        var who = await TokenBench.SignInAsync(database);
        var token = await _bench.IssueAsync(who);
        Assert.NotNull(await _bench.ValidateAsync(token));

        await MigratedDatabase.ExecuteAsync(
            database.Admin, $"UPDATE sessions SET ended_at = now(), end_reason = 'ended' WHERE id = '{who.Session}'");

        await ForgetChangedAsync();
        Assert.Null(await _bench.ValidateAsync(token));
    }

    [Fact]
    public async Task Validate_RoleChanged_IsTheNewRoleOnceTheOldIsForgotten()
    {
        var who = await TokenBench.SignInAsync(database, "owner");
        var token = await _bench.IssueAsync(who);
        Assert.Equal(Role.Owner, (await _bench.ValidateAsync(token))?.Role);

        await MigratedDatabase.ExecuteAsync(database.Admin, $"UPDATE memberships SET role = 'viewer' WHERE user_id = '{who.User}'");

        await ForgetChangedAsync();
        Assert.Equal(Role.Viewer, (await _bench.ValidateAsync(token))?.Role);
    }

    [Theory]
    [InlineData("DELETE FROM memberships WHERE user_id = '{0}'")]
    [InlineData("UPDATE users SET disabled_at = now() WHERE id = '{0}'")]
    [InlineData("DELETE FROM users WHERE id = '{0}'")]
    public async Task Validate_AccessTakenAway_IsRefusedOnceThatIsForgotten(string sql)
    {
        var who = await TokenBench.SignInAsync(database);
        var token = await _bench.IssueAsync(who);
        Assert.NotNull(await _bench.ValidateAsync(token));

        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            string.Format(System.Globalization.CultureInfo.InvariantCulture, sql, who.User));

        await ForgetChangedAsync();
        Assert.Null(await _bench.ValidateAsync(token));
    }

    [Fact]
    public async Task Validate_RememberedToken_EndsWhenItExpires()
    {
        var clock = new SteppedClock();
        await using var bench = new TokenBench(database.App, clock);
        var token = await bench.IssueAsync(await TokenBench.SignInAsync(database));
        Assert.NotNull(await bench.ValidateAsync(token));

        clock.Advance(TimeSpan.FromMinutes(10));
        Assert.NotNull(await bench.ValidateAsync(token));
        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Null(await bench.ValidateAsync(token));
    }

    [Fact]
    public async Task Validate_MoreTokensThanAreRemembered_AllHold()
    {
        await using var bench = new TokenBench(database.App, maxRemembered: 100);
        var who = await TokenBench.SignInAsync(database);
        var tokens = new List<string>();
        for (var i = 0; i < 250; i++)
            tokens.Add(await bench.IssueAsync(who));

        foreach (var token in tokens.Concat(tokens))
            Assert.NotNull(await bench.ValidateAsync(token));
    }

    /// <summary>What the poll of an instance does.</summary>
    private async Task ForgetChangedAsync()
    {
        await using var connection = new Npgsql.NpgsqlConnection(database.App);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new Npgsql.NpgsqlCommand(
            "SELECT session_id, user_id, tenant_id FROM changed_access(interval '30 s')",
            connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var changes = new ChangedAccess();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            changes.Add(Id(0), Id(1), Id(2), key: null, heardAt: 0);
        _bench.Tokens.Forget(changes.Concern);

        Guid? Id(int column) => reader.IsDBNull(column) ? null : reader.GetGuid(column);
    }
}
