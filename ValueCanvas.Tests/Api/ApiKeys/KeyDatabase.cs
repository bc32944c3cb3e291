using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Npgsql;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.ApiKeys;

/// <summary>A migrated database on the tests' servers, and people in it whose keys a test makes.</summary>
public sealed class KeyDatabase(ServersFixture servers) : IAsyncLifetime
{
    public string Admin { get; private set; } = "";

    public string App { get; private set; } = "";

    public string Redis => servers.Redis;

    public async ValueTask InitializeAsync()
    {
        Admin = new NpgsqlConnectionStringBuilder(await servers.CreateMigratedDatabaseAsync("keys")) { Pooling = false }.ConnectionString;
        App = ApiDatabase.AsApp(Admin);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection(Admin);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    /// <summary>A tenant with one user of this role.</summary>
    public async Task<(Guid Tenant, Guid User)> AddMemberAsync(string role = "owner", Guid? tenant = null)
    {
        var (inTenant, user) = (tenant ?? Guid.NewGuid(), Guid.NewGuid());
        await MigratedDatabase.ExecuteAsync(
            Admin,
            $"""
             INSERT INTO tenants (id, name) VALUES ('{inTenant}', 'T') ON CONFLICT DO NOTHING;
             INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email)
             VALUES ('{user}', '{user}', '{user}', '{user}@tests.example', '{user}@TESTS.EXAMPLE');
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{inTenant}', '{user}', '{role}');
             """);
        return (inTenant, user);
    }

    /// <summary>A key with all scopes but the operator's, as it would be had the user made it.</summary>
    internal static async Task<string> AddKeyAsync(ApiHost api, Guid tenant, Guid user, params string[] scopes)
    {
        var store = (ValueCanvas.Api.ApiKeys.ApiKeyStore)api.Services.GetService(typeof(ValueCanvas.Api.ApiKeys.ApiKeyStore))!;
        var text = ValueCanvas.Api.ApiKeys.ApiKeyText.Create("live");
        var added = await store.TryAddAsync(
            tenant,
            new(Guid.NewGuid(), user, "A key", "live", scopes is [] ? ["canvas", "keys", "llm", "queue", "tenant"]
                : scopes, null, null, null,
                TimeProvider.System.GetUtcNow(), null, null, ValueCanvas.Api.ApiKeys.ApiKeyText.PrefixOf(text), null),
            text,
            limit: 100,
            (_, _) => Task.CompletedTask,
            TestContext.Current.CancellationToken);
        Assert.True(added);
        return text;
    }

    /// <summary>Asks for a key with the client's rights.</summary>
    internal static async Task<JsonElement> MakeAsync(HttpClient client, object body)
    {
        using var response = await client.PostAsJsonAsync("/api/keys", body, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == System.Net.HttpStatusCode.Created, $"{(int)response.StatusCode} {text}");
        return JsonDocument.Parse(text).RootElement.GetProperty("data");
    }

    internal static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");
}
