using System.Diagnostics;
using System.Net;
using Npgsql;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

/// <summary>What ended is refused everywhere within a second, whatever was remembered of it.</summary>
public sealed class RevocationTests(KeyApi fixture) : IClassFixture<KeyApi>
{
    private readonly KeyDatabase _database = fixture.Database;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Delete_IsRefusedByEveryInstanceWithinASecond(bool redis)
    {
        await using var here = new ApiHost(database: _database.App, cache: redis ? _database.Redis : null);
        await using var there = new ApiHost(database: _database.App, cache: redis ? _database.Redis : null);
        await Effect.WithinASecondAsync(() => DeleteAsync(here, there));
    }

    private async Task<TimeSpan> DeleteAsync(ApiHost here, ApiHost there)
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var owner = here.ClientWith(await KeyDatabase.AddKeyAsync(here, tenant, user));
        var made = await KeyDatabase.MakeAsync(owner, new { name = "a" });
        var key = made.GetProperty("key").GetString()!;
        await IsAsync(here, key, HttpStatusCode.OK);
        await IsAsync(there, key, HttpStatusCode.OK);

        using var deleted = await owner.DeleteAsync($"/api/keys/{made.GetProperty("id").GetGuid()}", Cancellation);

        var since = Stopwatch.StartNew();
        await Task.WhenAll(UntilRefusedAsync(here, key), UntilRefusedAsync(there, key));
        var took = since.Elapsed;
        for (var again = 0; again < 20; again++)
        {
            await IsAsync(here, key, HttpStatusCode.Unauthorized);
            await IsAsync(there, key, HttpStatusCode.Unauthorized);
        }

        return took;
    }

    [Theory]
    [InlineData("DELETE FROM memberships WHERE user_id = '{0}'", HttpStatusCode.Unauthorized)]
    [InlineData("UPDATE memberships SET role = 'viewer' WHERE user_id = '{0}'", HttpStatusCode.Forbidden)]
    [InlineData("UPDATE users SET disabled_at = now() WHERE id = '{0}'", HttpStatusCode.Unauthorized)]
    [InlineData("UPDATE api_keys SET scopes = '{{canvas}}' WHERE created_by = '{0}'", HttpStatusCode.Forbidden)]
    [InlineData("UPDATE api_keys SET expires_at = now() WHERE created_by = '{0}'", HttpStatusCode.Unauthorized)]
    [InlineData("DELETE FROM api_keys WHERE created_by = '{0}'", HttpStatusCode.Unauthorized)]
    public Task Holder_Changed_TakesEffectWithinASecond(string sql, HttpStatusCode expected) => Effect.WithinASecondAsync(async () =>
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var client = fixture.Host.ClientWith(await KeyDatabase.AddKeyAsync(fixture.Host, tenant, user));
        using (var before = await client.GetAsync("/api/keys", Cancellation))
            Assert.Equal(HttpStatusCode.OK, before.StatusCode);

        await MigratedDatabase.ExecuteAsync(_database.Admin, string.Format(null, sql, user));

        var since = Stopwatch.StartNew();
        await UntilAsync(client, "/api/keys", expected);
        return since.Elapsed;
    });

    [Fact]
    public async Task Delete_WhileALookUpIsUnderWay_DoesNotComeBack()
    {
        // The look-up has its answer from before the deletion, and gets it only after everybody was told of that.
        var target = new NpgsqlConnectionStringBuilder(_database.App);
        await using var proxy = new HeldAnswers(target.Host!, target.Port);
        var (tenant, user) = await _database.AddMemberAsync();
        var key = await KeyDatabase.AddKeyAsync(fixture.Host, tenant, user);
        target.Host = "127.0.0.1";
        target.Port = proxy.Port;
        await using var slow = new ApiHost(database: target.ConnectionString);
        await IsAsync(slow, ApiHost.Key, HttpStatusCode.OK);

        proxy.Hold();
        var underWay = slow.ClientWith(key).GetAsync("/v1/nothing", Cancellation);
        await InferenceProxy.ProxyHost.UntilAsync(() => Task.FromResult(proxy.Connections >= 2));
        await MigratedDatabase.ExecuteAsync(_database.Admin, $"UPDATE api_keys SET revoked_at = now() WHERE created_by = '{user}'");
        proxy.Release();
        using (await underWay)
        {
        }

        var since = Stopwatch.StartNew();
        await UntilRefusedAsync(slow, key);
        // By what is told of changes, not because what is remembered is looked up again, which takes minutes.
        Assert.True(since.Elapsed < TimeSpan.FromSeconds(3), $"refused after {since.Elapsed}");
        for (var again = 0; again < 20; again++)
            await IsAsync(slow, key, HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task PostgreSql_Away_KnownKeysGoOn_UnknownOnesAre503_AndBackTheyAre401()
    {
        await using var servers = await Servers.StartAsync(Cancellation);
        await using var inference = await FakeInference.StartAsync();
        var app = await ApiDatabase.MigrateAsync(await servers.CreateDatabaseAsync("keys", Cancellation));
        await using var api = new ApiHost(inference.Address, app);
        using (var warm = await api.GetAsync("/v1/models"))
            Assert.Equal(HttpStatusCode.OK, warm.StatusCode);
        var stranger = ValueCanvas.Api.ApiKeys.ApiKeyText.Create("live");

        await servers.StopPostgresAsync(Cancellation);
        for (var again = 0; again < 5; again++)
        {
            using var known = await api.GetAsync("/v1/models");
            Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        }

        using (var unknown = await api.ClientWith(stranger).GetAsync("/api/canvas", Cancellation))
        {
            await ApiHost.ProblemAsync(unknown, 503);
            Assert.NotNull(unknown.Headers.RetryAfter);
        }

        using (var unknown = await api.ClientWith(stranger).GetAsync("/v1/models", Cancellation))
            await ApiHost.OpenAiErrorAsync(unknown, 503);
        using (var malformed = await api.ClientWith("vck_live_no").GetAsync("/v1/models", Cancellation))
            await ApiHost.OpenAiErrorAsync(malformed, 401);

        await servers.StartPostgresAsync(Cancellation);
        await UntilAsync(api.ClientWith(stranger), "/v1/models", HttpStatusCode.Unauthorized);
    }

    /// <summary>Lets questions through and keeps the answers back: the server has read what was there when it was asked.</summary>
    private sealed class HeldAnswers(string host, int port) : TcpFaultProxy(host, port)
    {
        private volatile TaskCompletionSource? _held;
        private int _connections;

        /// <summary>With an answer that is kept back: that of the poll, and that of the look-up.</summary>
        public int Connections => Volatile.Read(ref _connections);

        public void Hold() => _held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Release() => _held?.TrySetResult();

        protected override async Task<bool> PassAsync(
            ReadOnlyMemory<byte> bytes, System.Net.Sockets.TcpClient from, System.Net.Sockets.TcpClient to,
            bool fromClient, CancellationToken stop)
        {
            if (!fromClient && _held is { Task.IsCompleted: false } held)
            {
                Interlocked.Increment(ref _connections);
                await held.Task.WaitAsync(stop);
            }

            await to.GetStream().WriteAsync(bytes, stop);
            return true;
        }
    }

    private static Task UntilRefusedAsync(ApiHost api, string key) =>
        UntilAsync(api.ClientWith(key), "/api/canvas", HttpStatusCode.Unauthorized);

    private static Task UntilAsync(HttpClient client, string path, HttpStatusCode status) =>
        InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            using var response = await client.GetAsync(path, Cancellation);
            return response.StatusCode == status;
        });

    private static async Task IsAsync(ApiHost api, string key, HttpStatusCode status)
    {
        using var response = await api.ClientWith(key).GetAsync("/api/canvas", Cancellation);
        Assert.Equal(status, response.StatusCode);
    }
}
