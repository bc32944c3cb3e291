using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Audit;

public sealed class AuditEndpointsTests(AuditEndpointsTests.Fixture fixture) : IClassFixture<AuditEndpointsTests.Fixture>
{
    private const string Job =
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"A bakery in Lyon"}}""";

    private readonly MigratedDatabase _database = fixture.Database;
    private readonly ApiHost _api = fixture.Host;

    // Each test's own rows are those of its actor.
    private readonly string _actor = Guid.NewGuid().ToString();

    [Fact]
    public async Task Job_Submitted_StandsInTheLogWhenItIsAnswered()
    {
        using var accepted = await _api.PostAsync("/api/queue/llm", Job);
        var id = (await ApiHost.JsonAsync(accepted)).GetProperty("data").GetProperty("jobId").GetString();

        var row = Assert.Single(await ItemsAsync("/api/audit?event=job.submitted"));

        Assert.Equal("success", row.GetProperty("outcome").GetString());
        Assert.Equal("job", row.GetProperty("subject").GetProperty("kind").GetString());
        Assert.Equal(id, row.GetProperty("subject").GetProperty("id").GetString());
        Assert.Equal(Tenants.Development.ToString(), row.GetProperty("tenantId").GetString());
        Assert.NotEmpty(row.GetProperty("traceId").GetString()!);
    }

    [Fact]
    public async Task Pages_OfTheLog_AreWholeAndNewestFirst()
    {
        for (var i = 0; i < 7; i++)
            await InsertAsync($"paged.{i}", TimeSpan.FromMinutes(i), _actor);

        var seen = new List<string>();
        string? cursor = null;
        do
        {
            using var response = await _api.GetAsync($"/api/audit?actor={_actor}&limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
            var data = (await ApiHost.JsonAsync(response)).GetProperty("data");
            seen.AddRange(data.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("event").GetString()!));
            cursor = data.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(Enumerable.Range(0, 7).Select(i => $"paged.{i}"), seen);
    }

    [Fact]
    public async Task Filters_ByTimeEventActorAndTenant_NarrowTheLog()
    {
        await InsertAsync("filtered.one", TimeSpan.FromHours(1), "a");
        await InsertAsync("filtered.two", TimeSpan.FromHours(2), _actor);
        await InsertAsync("filtered.three", TimeSpan.FromHours(3), _actor, _database.OtherTenant);
        var middle = Uri.EscapeDataString(
            DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()).AddMinutes(-90)
            .ToString("O", CultureInfo.InvariantCulture));

        Assert.Equal(["filtered.one"], await NamesAsync($"/api/audit?from={middle}&actor=a"));
        Assert.Equal(["filtered.two", "filtered.three"], await NamesAsync($"/api/audit?to={middle}"));
        Assert.Equal(["filtered.two"], await NamesAsync("/api/audit?event=filtered.two"));
        Assert.Equal(["filtered.two", "filtered.three"], await NamesAsync($"/api/audit?actor={_actor}"));
        Assert.Equal(["filtered.three"], await NamesAsync($"/api/audit?actor={_actor}&tenant={_database.OtherTenant}"));
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("cursor=x")]
    [InlineData("from=yesterday")]
    [InlineData("to=99999-01-01")]
    [InlineData("event=%00")]
    [InlineData("tenant=1")]
    public async Task Query_ThatMakesNoSense_IsA400(string query)
    {
        using var response = await _api.GetAsync($"/api/audit?{query}");

        await ApiHost.ProblemAsync(response, 400);
    }

    [Theory]
    [InlineData(Role.Viewer, false, 403, "")]
    [InlineData(Role.Member, false, 403, "")]
    [InlineData(Role.Admin, false, 200, "seen.mine")]
    [InlineData(Role.Owner, false, 200, "seen.mine")]
    [InlineData(Role.Viewer, true, 200, "seen.mine seen.nobodys seen.other")]
    public async Task Log_ByRole_ShowsTheOwnTenantToAdminsAndAllToOperators(object role, bool isOperator, int status, string seen)
    {
        await InsertAsync("seen.mine", TimeSpan.FromMinutes(3), _actor);
        await InsertAsync("seen.nobodys", TimeSpan.FromMinutes(2), _actor, tenant: null, nobodys: true);
        await InsertAsync("seen.other", TimeSpan.FromMinutes(1), _actor, _database.OtherTenant);
        using var client = As(Caller((Role)role, isOperator));

        // A tenant of somebody else's in the query changes nothing for who is no operator.
        using var response = await client.GetAsync(
            isOperator ? $"/api/audit?actor={_actor}"
                : $"/api/audit?actor={_actor}&tenant={_database.OtherTenant}", TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)response.StatusCode);
        if (status == 200)
            Assert.Equal(seen, string.Join(' ', Items(await ApiHost.JsonAsync(response)).Select(Name).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task Log_ByAnOperatorsKeyWithoutTheScopeAdmin_ShowsTheOwnTenantAlone()
    {
        await InsertAsync("scoped.mine", TimeSpan.FromMinutes(3), _actor);
        await InsertAsync("scoped.other", TimeSpan.FromMinutes(1), _actor, _database.OtherTenant);
        var caller = Caller(Role.Owner, isOperator: true);
        using var tenants = As(caller with { ApiKeyId = Guid.NewGuid(), Scopes = new HashSet<string> { Scopes.Tenant } });
        using var chats = As(caller with { ApiKeyId = Guid.NewGuid(), Scopes = new HashSet<string> { Scopes.Llm } });

        using var shown = await tenants.GetAsync($"/api/audit?actor={_actor}", TestContext.Current.CancellationToken);
        using var refused = await chats.GetAsync($"/api/audit?actor={_actor}", TestContext.Current.CancellationToken);

        Assert.Equal(["scoped.mine"], Items(await ApiHost.JsonAsync(shown)).Select(Name));
        await ApiHost.ProblemAsync(refused, 403);
    }

    [Fact]
    public async Task Stranger_Refused_StandsInTheLogWithoutATenant()
    {
        using var stranger = _api.ClientWith("vck_test_nothing");
        using var refused = await stranger.PostAsync("/api/queue/llm", new StringContent(Job), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);

        JsonElement[] rows = [];
        await ProxyHost.UntilAsync(
            async () => (rows = [.. (await ItemsAsync("/api/audit?event=request.refused")).Where(IsStrangers)]).Length > 0);

        var row = Assert.Single(rows);
        Assert.Equal("anonymous", row.GetProperty("actor").GetProperty("kind").GetString());
        Assert.Equal(JsonValueKind.Null, row.GetProperty("tenantId").ValueKind);
        Assert.Equal("not signed in", row.GetProperty("details").GetProperty("reason").GetString());
        Assert.DoesNotContain("vck_test", row.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_WithTheDatabaseAway_IsA503()
    {
        await using var api = new ApiHost();
        using var response = await api.GetAsync("/api/audit");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    private static bool IsStrangers(JsonElement row) => row.GetProperty("actor").GetProperty("kind").GetString() == "anonymous";

    private async Task InsertAsync(string @event, TimeSpan age, string actor, Guid? tenant = null, bool nobodys = false) =>
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO audit_log (id, tenant_id, occurred_at, event, outcome, actor_kind, actor_id)
             VALUES (
                 gen_random_uuid(), {(nobodys ? "NULL" : $"'{tenant ?? Tenants.Development}'")}, now() - interval '{age}',
                 '{@event}', 'success', 'user', '{actor}')
             """);

    private async Task<IEnumerable<string?>> NamesAsync(string path) =>
        (await ItemsAsync(path)).Select(Name);

    private static string? Name(JsonElement item) => item.GetProperty("event").GetString();

    private static Caller Caller(Role role, bool isOperator) =>
        new(Tenants.Development, role, CredentialKind.ApiKey) { HolderId = Guid.NewGuid(), ApiKeyId = Guid.NewGuid(),
            IsOperator = isOperator };

    private static JsonElement.ArrayEnumerator Items(JsonElement body) => body.GetProperty("data").GetProperty("items").EnumerateArray();

    private HttpClient As(Caller caller)
    {
        var key = $"key-of-{caller.ApiKeyId}";
        _api.Services.GetRequiredService<KnownKeys>().Add(
            TokenHash.Of(key), new KnownKey(caller, ExpiresAt: null, _api.Services.GetRequiredService<TimeProvider>().GetTimestamp()));
        return _api.ClientWith(key);
    }

    private async Task<JsonElement[]> ItemsAsync(string path)
    {
        using var response = await _api.GetAsync(path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return [.. Items(await ApiHost.JsonAsync(response))];
    }

    /// <summary>One service and one database for all of them.</summary>
    public sealed class Fixture(ServersFixture servers) : IAsyncLifetime
    {
        public MigratedDatabase Database { get; } = new(servers);

        internal ApiHost Host { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Host = new ApiHost(database: Database.App, cache: Database.Redis);
        }

        public ValueTask DisposeAsync() => Host.DisposeAsync();
    }
}
