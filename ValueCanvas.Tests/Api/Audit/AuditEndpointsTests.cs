using System.Globalization;
using System.Net;
using System.Text.Json;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Audit;

public sealed class AuditEndpointsTests(ServersFixture servers) : IAsyncLifetime
{
    private const string Job =
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"A bakery in Lyon"}}""";

    private readonly MigratedDatabase _database = new(servers);
    private ApiHost _api = null!;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _api = new ApiHost(database: _database.App, cache: _database.Redis);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _database.DisposeAsync();
    }

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
            await InsertAsync($"paged.{i}", TimeSpan.FromMinutes(i), "a");

        var seen = new List<string>();
        string? cursor = null;
        do
        {
            using var response = await _api.GetAsync($"/api/audit?actor=a&limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
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
        await InsertAsync("filtered.two", TimeSpan.FromHours(2), "b");
        await InsertAsync("filtered.three", TimeSpan.FromHours(3), "b", _database.OtherTenant);
        var middle = Uri.EscapeDataString(DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()).AddMinutes(-90)
            .ToString("O", CultureInfo.InvariantCulture));

        // The first start has left its own rows, a moment ago.
        Assert.Equal(
            ["filtered.one"],
            (await NamesAsync($"/api/audit?from={middle}")).Where(name => name?.StartsWith("filtered.", StringComparison.Ordinal) is true));
        Assert.Equal(["filtered.two", "filtered.three"], await NamesAsync($"/api/audit?to={middle}"));
        Assert.Equal(["filtered.two"], await NamesAsync("/api/audit?event=filtered.two"));
        Assert.Equal(["filtered.two", "filtered.three"], await NamesAsync("/api/audit?actor=b"));
        Assert.Equal(["filtered.three"], await NamesAsync($"/api/audit?actor=b&tenant={_database.OtherTenant}"));
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

    [Fact]
    public async Task Log_WithTheDatabaseAway_IsA503()
    {
        await using var api = new ApiHost();
        using var response = await api.GetAsync("/api/audit");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    private async Task InsertAsync(string @event, TimeSpan age, string actor, Guid? tenant = null) => await MigratedDatabase.ExecuteAsync(
        _database.Admin,
        $"""
         INSERT INTO audit_log (id, tenant_id, occurred_at, event, outcome, actor_kind, actor_id)
         VALUES (gen_random_uuid(), '{tenant ?? Tenants.Development}', now() - interval '{age}', '{@event}', 'success', 'user', '{actor}')
         """);

    private async Task<IEnumerable<string?>> NamesAsync(string path) =>
        (await ItemsAsync(path)).Select(item => item.GetProperty("event").GetString());

    private async Task<JsonElement[]> ItemsAsync(string path)
    {
        using var response = await _api.GetAsync(path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return [.. (await ApiHost.JsonAsync(response)).GetProperty("data").GetProperty("items").EnumerateArray()];
    }
}
