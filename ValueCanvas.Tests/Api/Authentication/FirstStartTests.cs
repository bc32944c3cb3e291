using System.Net;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

/// <summary>Each test has a database of its own: nobody is in it yet.</summary>
public sealed class FirstStartTests(ServersFixture servers) : IAsyncLifetime
{
    private readonly KeyDatabase _database = new(servers);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Configured_MakesTheOperatorOfTheFirstTenant_AndTheKeyWorks()
    {
        await using var api = Start();
        await IsAsync(api, ApiHost.Key, HttpStatusCode.OK);

        Assert.Equal(
            ApiHost.OperatorEmail,
            await _database.ScalarAsync<string>(
                $"""
                 SELECT u.email FROM users u JOIN memberships m ON m.user_id = u.id
                 WHERE u.is_operator AND m.role = 'owner' AND m.tenant_id = '{Tenants.Development}' AND NOT u.password_change_required
                 """));
        var hash = await _database.ScalarAsync<string>("SELECT password_hash FROM users");
        Assert.Equal(
            PasswordVerificationResult.Success,
            new PasswordHasher<object>(Options.Create(new PasswordHasherOptions())).VerifyHashedPassword(this, hash, ApiHost.OperatorPassword));
    }

    [Fact]
    public async Task StartedAgain_AndByManyAtOnce_MakesNothingTwice()
    {
        var hosts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Start(), Cancellation)));
        try
        {
            foreach (var host in hosts)
                await IsAsync(host, ApiHost.Key, HttpStatusCode.OK);
        }
        finally
        {
            foreach (var host in hosts)
                await host.DisposeAsync();
        }

        await using var again = Start();
        await IsAsync(again, ApiHost.Key, HttpStatusCode.OK);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM users"));
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM api_keys"));
    }

    [Fact]
    public async Task AnotherKey_TakesThePlaceOfTheOneBefore_AndADeletedOneStaysDeleted()
    {
        await using (var first = Start())
            await IsAsync(first, ApiHost.Key, HttpStatusCode.OK);

        var other = ApiKeyText.Create("live");
        await using (var second = Start(("VALUECANVAS_BOOTSTRAP_API_KEY", other), ("VALUECANVAS_BOOTSTRAP_EMAIL", "someone@else.example")))
        {
            await IsAsync(second, other, HttpStatusCode.OK);
            await IsAsync(second, ApiHost.Key, HttpStatusCode.Unauthorized);
        }

        await using var third = Start();
        await IsAsync(third, ApiHost.Key, HttpStatusCode.Unauthorized);
        await IsAsync(third, other, HttpStatusCode.OK);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM users"));
    }

    [Fact]
    public async Task NoPassword_MakesOneUp_ThatMustBeChanged()
    {
        await using var api = Start(("VALUECANVAS_BOOTSTRAP_PASSWORD", ""), ("VALUECANVAS_BOOTSTRAP_API_KEY", ""));

        Assert.True(await _database.ScalarAsync<bool>("SELECT password_change_required AND is_operator FROM users"));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM api_keys"));
        await IsAsync(api, ApiHost.Key, HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task AddressTakenBefore_BelongsToTheOperatorFromNowOn()
    {
        var squatter = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email, password_hash)
             VALUES ('{squatter}', 's', 'S', '{ApiHost.OperatorEmail}', '{ApiHost.OperatorEmail.ToUpperInvariant()}', 'theirs');
             INSERT INTO sessions (id, user_id, tenant_id, expires_at)
             VALUES ('{Guid.NewGuid()}', '{squatter}', '{Tenants.Development}', now() + interval '1 day');
             """);

        await using var api = Start();

        await IsAsync(api, ApiHost.Key, HttpStatusCode.OK);
        Assert.NotEqual("theirs", await _database.ScalarAsync<string>("SELECT password_hash FROM users"));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM sessions WHERE ended_at IS NULL"));
    }

    [Fact]
    public async Task DatabaseAway_ServiceLives_AndCatchesUpWhenItIsThere()
    {
        var target = new NpgsqlConnectionStringBuilder(_database.App);
        await using var proxy = new Door(target.Host!, target.Port);
        target.Host = "127.0.0.1";
        target.Port = proxy.Port;
        proxy.IsClosed = true;
        await using var api = new ApiHost(database: target.ConnectionString + ";Timeout=1");
        using (var live = await api.ClientWith(null).GetAsync("/health/live", Cancellation))
            Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        await IsAsync(api, ApiHost.Key, HttpStatusCode.ServiceUnavailable);

        proxy.IsClosed = false;

        await InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            using var response = await api.GetAsync("/api/canvas");
            return response.StatusCode == HttpStatusCode.OK;
        });
    }

    [Theory]
    [InlineData("VALUECANVAS_BOOTSTRAP_API_KEY", "short")]
    [InlineData("VALUECANVAS_BOOTSTRAP_API_KEY", "with spaces in the middle of it")]
    [InlineData("VALUECANVAS_BOOTSTRAP_PASSWORD", "1234567")]
    [InlineData("VALUECANVAS_BOOTSTRAP_EMAIL", "nobody")]
    public void Value_ThatMakesNoSense_StopsTheStartAndIsNamed(string variable, string value)
    {
        var refused = Assert.Throws<OptionsValidationException>(() => Start((variable, value)));
        Assert.Contains(variable, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(value, refused.Message, StringComparison.Ordinal);
    }

    private sealed class Door(string host, int port) : TcpFaultProxy(host, port)
    {
        public volatile bool IsClosed;

        protected override async Task<bool> PassAsync(
            ReadOnlyMemory<byte> bytes, System.Net.Sockets.TcpClient from, System.Net.Sockets.TcpClient to, bool fromClient, CancellationToken stop)
        {
            if (!IsClosed)
                await to.GetStream().WriteAsync(bytes, stop);
            return !IsClosed;
        }
    }

    private ApiHost Start(params (string Key, string Value)[] settings) => new(database: _database.App, settings: settings);

    private static async Task IsAsync(ApiHost api, string key, HttpStatusCode status)
    {
        using var response = await api.ClientWith(key).GetAsync("/api/canvas", Cancellation);
        Assert.Equal(status, response.StatusCode);
    }
}
