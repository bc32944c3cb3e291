using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using ValueCanvas.Api.ProviderKeys;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.ProviderKeys;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.ProviderKeys;

public sealed class ProviderKeyTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private const string Header = "x-valuecanvas-key-openai";
    private const string Ask = """{"model":"default","messages":[{"role":"user","content":"Hi"}]}""";

    private readonly string _key = $"sk-proj-{Guid.NewGuid():N}";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Key_Set_ShowsItsLastFour_AndGoesWithTheTenantsRequests_AloneOfWhatClientsSend()
    {
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(inference.Address, database.App);

        using var set = await PutAsync(api, "openai", _key);

        var text = await set.Content.ReadAsStringAsync(Cancel);
        Assert.True(set.StatusCode == HttpStatusCode.OK, text);
        Assert.DoesNotContain(_key, text);
        Assert.Equal(_key[^4..], JsonDocument.Parse(text).RootElement.GetProperty("data").GetProperty("lastFour").GetString());
        foreach (var path in new[] { "/api/provider-keys", "/api/provider-keys/openai" })
        {
            var shown = await api.Client.GetStringAsync(path, Cancel);
            Assert.Contains($"\"lastFour\":\"{_key[^4..]}\"", shown);
            Assert.DoesNotContain(_key, shown);
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Ask) };
        request.Headers.Add("x-valuecanvas-key-together", "a-clients-own-0123456789");
        using var answered = await api.Client.SendAsync(request, Cancel);
        Assert.Equal(_key, inference.Seen.Last().Headers[Header]);
        Assert.DoesNotContain("x-valuecanvas-key-together", inference.Seen.Last().Headers.Keys);
        Assert.DoesNotContain(answered.Headers, header => header.Key.StartsWith("x-valuecanvas-key", StringComparison.OrdinalIgnoreCase));

        using var chat = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}""");
        Assert.Equal(_key, inference.Seen.Last().Headers[Header]);
        Assert.Equal(1, await database.ScalarAsync<long>(
            """
            SELECT count(*) FROM audit_log
            WHERE event = 'provider_key.set' AND subject_id = 'openai' AND occurred_at > now() - interval '1 minute'
            """));
    }

    [Fact]
    public async Task Key_ChangedAndDeleted_IsSoAtEveryInstanceWithinASecond()
    {
        await using var inference = await FakeInference.StartAsync();
        await using var one = new ApiHost(inference.Address, database.App);
        await using var other = new ApiHost(inference.Address, database.App);
        using var set = await PutAsync(one, "together", _key);
        await UntilSeenAsync(other, inference, "x-valuecanvas-key-together", _key);

        var another = 0;
        await Effect.WithinASecondAsync(async () =>
        {
            var key = $"another-{++another}-0123456789";
            using var changed = await PutAsync(one, "together", key);
            var clock = Stopwatch.StartNew();
            await UntilSeenAsync(other, inference, "x-valuecanvas-key-together", key);
            return clock.Elapsed;
        });
        using var deleted = await one.Client.DeleteAsync("/api/provider-keys/together", Cancel);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        await UntilSeenAsync(other, inference, "x-valuecanvas-key-together", null);

        using var again = await one.Client.DeleteAsync("/api/provider-keys/together", Cancel);
        await ApiHost.ProblemAsync(again, 404);
    }

    [Fact]
    public async Task Key_OfAnotherTenant_IsNotSeenSentOrOpened()
    {
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(inference.Address, database.App);
        var (store, known) = (api.Services.GetRequiredService<ProviderKeyStore>(), api.Services.GetRequiredService<KnownProviderKeys>());
        await store.SetAsync(database.OtherTenant, "gemini", _key, (_, _) => Task.CompletedTask, Cancel);

        Assert.DoesNotContain("gemini", await api.Client.GetStringAsync("/api/provider-keys", Cancel));
        using var one = await api.GetAsync("/api/provider-keys/gemini");
        await ApiHost.ProblemAsync(one, 404);
        using var deleted = await api.Client.DeleteAsync("/api/provider-keys/gemini", Cancel);
        await ApiHost.ProblemAsync(deleted, 404);
        using var answered = await api.PostAsync("/v1/chat/completions", Ask);
        Assert.DoesNotContain("x-valuecanvas-key-gemini", inference.Seen.Last().Headers.Keys);
        foreach (var sql in new[]
        {
            "SELECT count(*) FROM provider_keys WHERE provider = 'gemini'",
            """
            WITH changed AS (UPDATE provider_keys SET sealed = '\x00' WHERE provider = 'gemini' RETURNING 1)
            SELECT count(*) FROM changed
            """,
        })
        {
            Assert.Equal(0, await InTenantAsync(Tenants.Development, sql));
        }

        var foreign =
            $"""
             INSERT INTO provider_keys (tenant_id, provider, sealed, last_four)
             VALUES ('{database.OtherTenant}', 'x', '\x00', 'abcd')
             """;
        Assert.Equal("42501", (await Assert.ThrowsAsync<PostgresException>(() => InTenantAsync(Tenants.Development, foreign))).SqlState);

        // Whoever can write to the database cannot give one tenant another's key.
        var opened = await api.Services.GetRequiredService<SealedProviderKeys>().OpenAsync(database.OtherTenant, Cancel);
        Assert.Equal(_key, Assert.Single(opened).Secret);
        await MigratedDatabase.ExecuteAsync(database.Admin,
            $"""
             INSERT INTO provider_keys (tenant_id, provider, sealed, last_four)
             SELECT '{Tenants.Development}', provider, sealed, last_four FROM provider_keys WHERE tenant_id = '{database.OtherTenant}'
             """);
        try
        {
            known.Forget(Tenants.Development);
            using var refused = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}""");
            Assert.Equal("urn:valuecanvas:problem:provider-keys-unreadable",
                (await ApiHost.ProblemAsync(refused, 503)).GetProperty("type").GetString());
        }
        finally
        {
            await MigratedDatabase.ExecuteAsync(database.Admin,
                $"DELETE FROM provider_keys WHERE tenant_id = '{Tenants.Development}' AND provider = 'gemini'");
        }
    }

    [Theory]
    [InlineData("openai", "short")]
    [InlineData("openai", "with a space in it 0123456789")]
    [InlineData("openai", "line\r\nx-valuecanvas-risk: critical")]
    [InlineData("openai", "sk-größer-als-ascii-0123456789")]
    [InlineData("Open%20AI", "sk-0123456789abcdef")]
    public async Task Key_ThatIsNone_Is400(string provider, string key)
    {
        await using var api = new ApiHost(database: database.App);

        using var refused = await PutAsync(api, provider, key);

        Assert.DoesNotContain(key, (await ApiHost.ProblemAsync(refused, 400)).ToString());
    }

    [Fact]
    public async Task Key_SetUsedAndDeleted_StandsInNoLogAndInNoTable()
    {
        await using var inference = await FakeInference.StartAsync();
        string[] categories = ["Default", "Microsoft.AspNetCore", "Microsoft.EntityFrameworkCore", "System.Net.Http.HttpClient"];
        await using var api = new ApiHost(
            inference.Address, database.App, null, [.. categories.Select(category => ($"Logging:LogLevel:{category}", "Trace"))]);
        var log = new LogQueue();
        api.Services.GetRequiredService<ILoggerFactory>().AddProvider(log);

        using var set = await PutAsync(api, "deepseek", _key);
        using var answered = await api.PostAsync("/v1/chat/completions", Ask);
        Assert.Equal(_key, inference.Seen.Last().Headers["x-valuecanvas-key-deepseek"]);
        foreach (var table in new[] { "provider_keys", "audit_log" })
            Assert.Equal(0, await database.ScalarAsync<long>($"SELECT count(*) FROM {table} t WHERE strpos(t::text, '{_key}') > 0"));
        using var deleted = await api.Client.DeleteAsync("/api/provider-keys/deepseek", Cancel);

        Assert.Contains(log.Lines, line => line.Contains("provider_keys", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains(_key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Database_Away_TenantsWithUnknownKeysAreRefused_AndOthersGoOn()
    {
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(inference.Address);
        var (known, time) = (api.Services.GetRequiredService<KnownProviderKeys>(), api.Services.GetRequiredService<TimeProvider>());

        using (var answered = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}"""))
            Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
        known.Heard([Tenants.Development], time.GetTimestamp());
        using (var refused = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}"""))
            await ApiHost.ProblemAsync(refused, 503);

        Assert.Single(inference.Seen, request => request.Method == "POST");
    }

    private static Task<HttpResponseMessage> PutAsync(ApiHost api, string provider, string key) =>
        api.Client.PutAsJsonAsync($"/api/provider-keys/{provider}", new { key }, Cancel);

    private static Task UntilSeenAsync(ApiHost api, FakeInference inference, string header, string? expected) =>
        InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            using var answered = await api.PostAsync("/v1/chat/completions", Ask);
            return inference.Seen.Last().Headers.GetValueOrDefault(header) == expected;
        });

    private async Task<long> InTenantAsync(Guid tenant, string sql)
    {
        await using var connection = new NpgsqlConnection(database.App);
        await connection.OpenAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await using (var set = new NpgsqlCommand($"SELECT set_config('app.tenant_id', '{tenant}', true)", connection, transaction))
            await set.ExecuteNonQueryAsync(Cancel);
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        return await command.ExecuteScalarAsync(Cancel) as long? ?? 0;
    }
}
