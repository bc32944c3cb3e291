using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Jobs;

public sealed class JobFamilyEndpointTests(ServersFixture servers) : IAsyncLifetime
{
    private const string Chat = """{"type":"chat","promptVariables":{"prompt":"x"}}""";
    private const string Family =
        $$"""{"type":"chat","promptVariables":{"prompt":"x"},"onChildFailure":"continue","children":[{{Chat}},{{Chat}}]}""";

    private readonly MigratedDatabase _database = new(servers);
    private ApiHost _api = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private JobLeases Leases => _api.Services.GetRequiredService<JobLeases>();

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _api = new ApiHost(database: _database.App, cache: _database.Redis, settings: ("RateLimiting:Enabled", "false"));
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Submit_JobWithChildren_WaitsForThem_AndShowsHowFarTheyAre()
    {
        var parent = await SubmitAsync(Family);
        Assert.Equal("blocked", parent.GetProperty("status").GetString());
        var id = parent.GetProperty("jobId").GetGuid();
        await SubmitAsync($$"""{"type":"chat","promptVariables":{"prompt":"x"},"parentId":"{{id}}"}""");

        var claimed = await Leases.ClaimAsync("w", 10, TimeSpan.FromMinutes(1), Cancel);
        Assert.Equal([id, id, id], claimed.Select(job => job.ParentId));
        Assert.Equal(
            """{"total":3,"jobs":{"running":3},"onFailure":"continue"}""",
            (await GetAsync(id)).GetProperty("children").GetRawText());

        await Leases.CompleteAsync(claimed[0], "{}", null, Cancel);
        await Leases.FailAsync(claimed[1], new("c", "m"), Cancel);
        (await _api.PostAsync($"/api/queue/jobs/{claimed[2].Id}/cancel", "")).Dispose();

        var ready = await GetAsync(id);
        Assert.Equal("queued", ready.GetProperty("status").GetString());
        Assert.Equal(
            """{"total":3,"jobs":{"succeeded":1,"failed":1,"cancelled":1},"onFailure":"continue"}""",
            ready.GetProperty("children").GetRawText());
        Assert.Equal(
            ["submitted", "unblocked"],
            ready.GetProperty("history").EnumerateArray().Select(step => step.GetProperty("event").GetString()));
        using var list = await _api.GetAsync($"/api/queue/jobs?parentId={id}&status=failed");
        var failed = (await ApiHost.JsonAsync(list)).GetProperty("data").GetProperty("items").EnumerateArray();
        Assert.Equal(claimed[1].Id, Assert.Single(failed).GetProperty("jobId").GetGuid());

        // It has begun to run, as far as its children go: no more of them.
        using var late = await _api.PostAsync(
            "/api/queue/llm", $$"""{"type":"chat","promptVariables":{"prompt":"x"},"parentId":"{{id}}"}""");
        await ApiHost.ProblemAsync(late, 409);
    }

    [Theory]
    [InlineData("cancel", "cancelled")]
    [InlineData("fail", "failed")]
    public async Task Submit_JobWithChildren_EndsWithTheFirstThatFails(string onChildFailure, string end)
    {
        var parent = await SubmitAsync(Family.Replace("continue", onChildFailure, StringComparison.Ordinal));
        var child = Assert.Single(await Leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(1), Cancel));

        await Leases.FailAsync(child, new("c", "m"), Cancel);

        var ended = await GetAsync(parent.GetProperty("jobId").GetGuid());
        Assert.Equal(
            (end, "child_failed"),
            (ended.GetProperty("status").GetString(), ended.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal("""{"failed":1,"cancelled":1}""", ended.GetProperty("children").GetProperty("jobs").GetRawText());
    }

    [Fact]
    public async Task Cancel_OfAParent_CallsItsChildrenOff()
    {
        var parent = (await SubmitAsync(Family)).GetProperty("jobId").GetGuid();
        var running = Assert.Single(await Leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(1), Cancel));

        using var cancelled = await _api.PostAsync($"/api/queue/jobs/{parent}/cancel", "");

        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        Assert.Equal(3, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs WHERE state = 'cancelled'"));
        Assert.Equal([running.Id], await Leases.FindLostAsync([running], Cancel));
    }

    [Fact]
    public async Task Bulk_WithFamilies_AnswersEachParentBeforeItsChildren_AndCountsOnceUnderItsKey()
    {
        using var first = await BulkAsync();
        using var again = await BulkAsync();

        var jobs = (await ApiHost.JsonAsync(first)).GetProperty("data").GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["queued", "blocked", "queued", "queued"], jobs.Select(job => job.GetProperty("status").GetString()));
        Assert.All(jobs[2..], child => Assert.Equal(jobs[1].GetProperty("jobId").GetGuid(), child.GetProperty("parentId").GetGuid()));
        Assert.Equal("true", Assert.Single(again.Headers.GetValues("Idempotency-Replayed")));
        Assert.Equal(4, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));

        Task<HttpResponseMessage> BulkAsync()
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/api/queue/llm/bulk")
            {
                Content = new StringContent($$"""{"jobs":[{{Chat}},{{Family}}]}""", System.Text.Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("Idempotency-Key", "once");
            return _api.Client.SendAsync(request, Cancel);
        }
    }

    [Theory]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"children":[]}""", "children")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"children":[null]}""", "children")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"children":[{"type":"chat"}]}""", "children[0].promptVariables.prompt")]
    [InlineData(
        """{"type":"chat","promptVariables":{"prompt":"x"},"children":[{"type":"chat","promptVariables":{"prompt":"x"},"children":[]}]}""",
        "children[0]")]
    [InlineData(
        """{"type":"chat","promptVariables":{"prompt":"x"},"""
        + """ "children":[{"type":"chat","promptVariables":{"prompt":"x"},"uniqueKey":"k"}]}""",
        "children[0]")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"onChildFailure":"fail"}""", "onChildFailure")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"parentId":"00000000-0000-0000-0000-000000000009"}""", "parentId")]
    public async Task Submit_FamilyThatCannotBe_Is422ThatNamesTheField(string body, string field)
    {
        using var refused = await _api.PostAsync("/api/queue/llm", body);

        var problem = await ApiHost.ProblemAsync(refused, 422);
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
    }

    [Fact]
    public async Task Pause_ByAnOperator_StartsNoJobOfAnybodyUntilItIsResumed()
    {
        await SubmitAsync(Chat);
        using (var paused = await _api.PostAsync("/api/admin/queue/pause", ""))
            Assert.True((await ApiHost.JsonAsync(paused)).GetProperty("data").GetProperty("paused").GetBoolean());
        await SubmitAsync(Chat);

        Assert.Empty(await Leases.ClaimAsync("w", 10, TimeSpan.FromMinutes(1), Cancel));
        Assert.Equal(0, (await Leases.MeasureAsync(Cancel)).Due);
        using (var metrics = await _api.GetAsync("/api/queue/metrics"))
            Assert.Equal(JsonValueKind.String, (await ApiHost.JsonAsync(metrics)).GetProperty("data").GetProperty("pausedSince").ValueKind);

        (await _api.PostAsync("/api/admin/queue/resume", "")).Dispose();

        using (var state = await _api.GetAsync("/api/admin/queue"))
            Assert.False((await ApiHost.JsonAsync(state)).GetProperty("data").GetProperty("paused").GetBoolean());
        Assert.Equal(2, (await Leases.ClaimAsync("w", 10, TimeSpan.FromMinutes(1), Cancel)).Count);
        Assert.Equal(
            "queue.paused_for_all queue.resumed_for_all",
            await _database.ScalarAsync<string>(
                "SELECT string_agg(event, ' ' ORDER BY occurred_at) FROM audit_log WHERE event LIKE 'queue.%'"));
    }

    private async Task<JsonElement> SubmitAsync(string body)
    {
        using var accepted = await _api.PostAsync("/api/queue/llm", body);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        return (await ApiHost.JsonAsync(accepted)).GetProperty("data");
    }

    private async Task<JsonElement> GetAsync(Guid id)
    {
        using var response = await _api.GetAsync($"/api/queue/jobs/{id}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await ApiHost.JsonAsync(response)).GetProperty("data");
    }
}
