using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Jobs;

/// <summary>Submitting, calling off, doing again; no worker runs, so jobs stay where the tests put them.</summary>
public sealed class JobSubmissionTests(JobSubmissionTests.Shared shared) : IClassFixture<JobSubmissionTests.Shared>, IAsyncLifetime
{
    private const string Chat = """{"type":"chat","promptVariables":{"prompt":"Hello"}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private ApiHost Api => shared.Api;

    private MigratedDatabase Database => shared.Database;

    public async ValueTask InitializeAsync() => await shared.EmptyAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Submit_SameKeyManyTimesAtOnce_IsOneJob()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => SubmitAsync(Chat, key: "k-1")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.Accepted, answer.Status));
        Assert.Single(answers.Select(answer => answer.Data.GetProperty("jobId").GetGuid()).Distinct());
        Assert.Equal(11, answers.Count(answer => answer.Replayed));
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Submit_ManyAtOnce_EachNewJobHasItsRowInTheAuditLog()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 64).Select(
            i => PostAsync("/api/queue/llm", i % 16 == 7 ? """{"type":"chat"}""" : Chat, i % 2 == 0 ? null : $"audited {i % 8}")));

        Assert.Equal(4, answers.Count(answer => answer.StatusCode == HttpStatusCode.UnprocessableEntity));
        Assert.Equal(60, answers.Count(answer => answer.StatusCode == HttpStatusCode.Accepted));
        // Half of them without keys, and four keys.
        Assert.Equal(32 + 4, await CountAsync());
        Assert.Equal(32 + 4, await Database.ScalarAsync<long>(
            """
            SELECT count(*) FROM llm_jobs j JOIN audit_log a ON a.subject_id = j.id::text AND a.tenant_id = j.tenant_id
            WHERE a.event = 'job.submitted' AND a.subject_kind = 'job' AND a.source IS NOT NULL
            """));
        foreach (var answer in answers)
            answer.Dispose();
    }

    [Fact]
    public async Task Submit_SameKeyAfterItsJobWasRemoved_Is409()
    {
        await SubmitAsync(Chat, key: "removed");
        await MigratedDatabase.ExecuteAsync(Database.Admin, "TRUNCATE llm_jobs, llm_job_events CASCADE");

        using var again = await PostAsync("/api/queue/llm", Chat, "removed");

        await ApiHost.ProblemAsync(again, 409);
    }

    [Fact]
    public async Task Submit_AnswerNeverArrives_SameKeyGetsTheJobThatWasStored()
    {
        using (var client = new System.Net.Sockets.TcpClient())
        {
            await client.ConnectAsync(Api.Address.Host, Api.Address.Port, Cancel);
            var request = $"POST /api/queue/llm HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ApiHost.Key}\r\n"
                + $"Idempotency-Key: lost\r\nContent-Length: {Chat.Length}\r\n\r\n{Chat}";
            await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(request), Cancel);
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            while (await CountAsync() == 0)
                await timer.WaitForNextTickAsync(Cancel);
        }

        var again = await SubmitAsync(Chat, key: "lost");

        Assert.True(again.Replayed);
        Assert.Equal(1, await CountAsync());
        Assert.Equal(again.Data.GetProperty("jobId").GetGuid(), await Database.ScalarAsync<Guid>("SELECT id FROM llm_jobs"));
    }

    [Fact]
    public async Task Submit_SameKeyForSomethingElse_Is422AndStoresNothing()
    {
        await SubmitAsync(Chat, key: "k-2");

        using var refused = await PostAsync("/api/queue/llm", Chat.Replace("Hello", "Bye", StringComparison.Ordinal), "k-2");

        await ApiHost.ProblemAsync(refused, 422);
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Submit_KeyOfYesterday_IsNewAgain()
    {
        var first = await SubmitAsync(Chat, key: "k-3");
        await MigratedDatabase.ExecuteAsync(Database.Admin, "UPDATE llm_job_requests SET created_at = now() - interval '25 hours'");

        var second = await SubmitAsync(Chat, key: "k-3");

        Assert.False(second.Replayed);
        Assert.NotEqual(first.Data.GetProperty("jobId").GetGuid(), second.Data.GetProperty("jobId").GetGuid());
    }

    [Fact]
    public async Task Submit_RefusedWithAKey_LeavesTheKeyFree()
    {
        await MigratedDatabase.ExecuteAsync(
            Database.Admin, $"INSERT INTO llm_job_limits (tenant_id, max_waiting) VALUES ('{Tenants.Development}', 1)");
        await SubmitAsync(Chat);
        using (var full = await PostAsync("/api/queue/llm", Chat, "k-4"))
        {
            await ApiHost.ProblemAsync(full, 429);
            Assert.NotNull(full.Headers.RetryAfter);
        }

        await MigratedDatabase.ExecuteAsync(Database.Admin, "TRUNCATE llm_job_limits");
        Assert.False((await SubmitAsync(Chat, key: "k-4")).Replayed);
    }

    [Theory]
    [InlineData("""{"type":"chat"}""", "promptVariables.prompt")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x","messages":[]}}""", "promptVariables.prompt")]
    [InlineData("""{"type":"chat","promptVariables":{"messages":[{"role":"robot","content":"x"}]}}""", "promptVariables.messages[0].role")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x","temperature":3}}""", "promptVariables.temperature")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x","maxTokens":1.5}}""", "promptVariables.maxTokens")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x","stream":true}}""", "promptVariables.stream")]
    [InlineData("""{"type":"chat","promptKey":"canvas.generate","promptVariables":{}}""", "promptVariables.businessDescription")]
    [InlineData("""{"type":"batch"}""", "promptVariables.requests")]
    [InlineData("""{"type":"batch","promptVariables":{"requests":[{"prompt":"x"},{}]}}""", "promptVariables.requests[1].prompt")]
    [InlineData("""{"type":"canvas_refinement","promptVariables":{"canvasId":"x","instruction":"y"}}""", "promptVariables.canvasId")]
    [InlineData(
        """{"type":"canvas_refinement","promptVariables":{"canvasId":"00000000-0000-0000-0000-00000000000f"}}""",
        "promptVariables.instruction")]
    [InlineData(
        """{"type":"canvas_refinement","promptVariables":{"canvasId":"00000000-0000-0000-0000-00000000000f","instruction":"y"}}""",
        "promptVariables.canvasId")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"priority":6}""", "priority")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"deadline":"2020-01-01T00:00:00Z"}""", "deadline")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"runAt":"2199-01-01T00:00:00Z"}""", "runAt")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"maxAttempts":0}""", "maxAttempts")]
    [InlineData("""{"type":"chat","promptVariables":{"prompt":"x"},"onConflict":"keep"}""", "onConflict")]
    public async Task Submit_JobThatCannotSucceed_Is422ThatNamesTheField(string body, string field)
    {
        using var refused = await PostAsync("/api/queue/llm", body);

        var problem = await ApiHost.ProblemAsync(refused, 422);
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Submit_WithTimesAndPriority_StoresThem()
    {
        var answer = await SubmitAsync(
            """{"type":"chat","promptVariables":{"prompt":"x"},"priority":1,"runAt":"2099-12-31T23:00:00+02:00","maxAttempts":2}"""
                .Replace("2099", $"{TimeProvider.System.GetUtcNow().Year}", StringComparison.Ordinal));

        Assert.Equal((1, 2), (answer.Data.GetProperty("priority").GetInt32(), answer.Data.GetProperty("maxAttempts").GetInt32()));
        Assert.Equal(
            TimeSpan.FromHours(24),
            answer.Data.GetProperty("deadline").GetDateTimeOffset()
                - answer.Data.GetProperty("runAt").GetDateTimeOffset());
    }

    [Fact]
    public async Task SubmitBulk_OneThatCannotSucceed_StoresNone()
    {
        using var refused = await PostAsync("/api/queue/llm/bulk", $$"""{"jobs":[{{Chat}},{"type":"chat"}]}""");

        var problem = await ApiHost.ProblemAsync(refused, 422);
        Assert.Contains("jobs[1].promptVariables.prompt", problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task SubmitBulk_WithAKey_StoresAllInOrderOnce()
    {
        var jobs = Enumerable.Range(0, 20).Select(i => Chat.Replace("Hello", $"{i}", StringComparison.Ordinal));
        var body = $$"""{"jobs":[{{string.Join(',', jobs)}}]}""";
        using var first = await PostAsync("/api/queue/llm/bulk", body, "bulk-1");
        using var second = await PostAsync("/api/queue/llm/bulk", body, "bulk-1");

        var ids = (await DataAsync(first, HttpStatusCode.Accepted)).GetProperty("items").EnumerateArray().Select(Id).ToList();
        Assert.Equal(ids, (await DataAsync(second, HttpStatusCode.Accepted)).GetProperty("items").EnumerateArray().Select(Id));
        Assert.Equal(20, await CountAsync());
        Assert.Equal("7", await Database.ScalarAsync<string>($"SELECT args->>'prompt' FROM llm_jobs WHERE id = '{ids[7]}'"));
    }

    [Fact]
    public async Task Submit_UniqueKeyTaken_KeepsRejectsOrReplaces()
    {
        var first = await SubmitAsync(Unique("keep"));

        using var kept = await PostAsync("/api/queue/llm", Unique("keep"));
        Assert.Equal(first.Data.GetProperty("jobId").GetGuid(), Id(await DataAsync(kept, HttpStatusCode.OK)));
        using var rejected = await PostAsync("/api/queue/llm", Unique("reject"));
        await ApiHost.ProblemAsync(rejected, 409);
        var replacing = await SubmitAsync(Unique("replace"));

        Assert.Equal(
            "cancelled replaced",
            await Database.ScalarAsync<string>($"SELECT state || ' ' || error_code FROM llm_jobs WHERE id = '{Id(first.Data)}'"));
        Assert.Equal("queued", replacing.Data.GetProperty("status").GetString());
        Assert.Equal(2, await CountAsync());

        static string Unique(string onConflict) =>
            $$$"""{"type":"chat","promptVariables":{"prompt":"x"},"uniqueKey":"nightly","onConflict":"{{{onConflict}}}"}""";
    }

    [Fact]
    public async Task Submit_SameUniqueKeyAtOnce_IsOneJob()
    {
        const string Body = """{"type":"chat","promptVariables":{"prompt":"x"},"uniqueKey":"once"}""";
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => PostAsync("/api/queue/llm", Body)));

        Assert.Equal(1, answers.Count(answer => answer.StatusCode == HttpStatusCode.Accepted));
        Assert.Equal(9, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Cancel_QueuedAndRunning_EndsThemAtOnceAndRefusesTheWorker()
    {
        var queued = Id((await SubmitAsync(Chat)).Data);
        var running = Id((await SubmitAsync(Chat.Replace("{\"type\"", "{\"priority\":1,\"type\"", StringComparison.Ordinal))).Data);
        var leases = Api.Services.GetRequiredService<JobLeases>();
        var claimed = Assert.Single(await leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(5), Cancel));
        Assert.Equal(running, claimed.Id);

        foreach (var id in (Guid[])[queued, running, running])
        {
            using var answer = await PostAsync($"/api/queue/jobs/{id}/cancel", "");
            Assert.Equal("cancelled", (await DataAsync(answer, HttpStatusCode.OK)).GetProperty("status").GetString());
        }

        Assert.Equal([running], await leases.FindLostAsync([claimed], Cancel));
        Assert.False(await leases.CompleteAsync(claimed, "{}", null, Cancel));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(Database.Admin));
    }

    [Fact]
    public async Task CancelAndRetry_OfJobsInTheWrongState_Are409()
    {
        var queued = Id((await SubmitAsync(Chat)).Data);
        using (var early = await PostAsync($"/api/queue/jobs/{queued}/retry", ""))
            await ApiHost.ProblemAsync(early, 409);

        var leases = Api.Services.GetRequiredService<JobLeases>();
        var claimed = Assert.Single(await leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(5), Cancel));
        await leases.CompleteAsync(claimed, "{}", null, Cancel);
        using var late = await PostAsync($"/api/queue/jobs/{queued}/cancel", "");
        await ApiHost.ProblemAsync(late, 409);
    }

    [Fact]
    public async Task DeadLetters_RetriedAndPurged_LeaveTheList()
    {
        var leases = Api.Services.GetRequiredService<JobLeases>();
        for (var i = 0; i < 3; i++)
            await SubmitAsync(Chat);
        foreach (var job in await leases.ClaimAsync("w", 3, TimeSpan.FromMinutes(5), Cancel))
            await leases.FailAsync(job, new(job.Attempt == 1 ? "timeout" : "other", "Late."), Cancel);
        var dead = await ListAsync();
        Assert.Equal(3, dead.Count);

        using (var unsaid = await PostAsync("/api/queue/dead-letters/purge", "{}"))
            await ApiHost.ProblemAsync(unsaid, 400);
        using var again = await PostAsync("/api/queue/dead-letters/retry", $$"""{"ids":["{{dead[0]}}"]}""");
        var retried = Assert.Single((await DataAsync(again, HttpStatusCode.Accepted)).GetProperty("items").EnumerateArray());
        Assert.Equal(dead[0], retried.GetProperty("retryOf").GetGuid());
        Assert.Equal(2, (await ListAsync()).Count);

        using var purged = await PostAsync("/api/queue/dead-letters/purge", """{"errorCode":"timeout"}""");
        Assert.Equal(2, (await DataAsync(purged, HttpStatusCode.OK)).GetProperty("count").GetInt32());
        Assert.Empty(await ListAsync());
        // The one that was done again stays, and so does what it became.
        Assert.Equal(2, await CountAsync());

        async Task<List<Guid>> ListAsync()
        {
            using var list = await Api.GetAsync("/api/queue/dead-letters?errorCode=timeout");
            return [.. (await DataAsync(list, HttpStatusCode.OK)).GetProperty("items").EnumerateArray().Select(Id)];
        }
    }

    [Fact]
    public async Task PauseResumeAndLimits_CountFromTheNextClaimOn()
    {
        var leases = Api.Services.GetRequiredService<JobLeases>();
        for (var i = 0; i < 3; i++)
            await SubmitAsync(Chat);
        using (var paused = await PostAsync("/api/queue/pause", ""))
            Assert.True((await DataAsync(paused, HttpStatusCode.OK)).GetProperty("paused").GetBoolean());
        Assert.Empty(await leases.ClaimAsync("w", 5, TimeSpan.FromMinutes(5), Cancel));

        using (var set = await Api.Client.PutAsync(
            $"/api/admin/queue/{Tenants.Development}", new StringContent("""{"weight":3,"maxRunning":2}"""), Cancel))
        {
            Assert.Equal(3, (await DataAsync(set, HttpStatusCode.OK)).GetProperty("weight").GetInt32());
        }

        using (var resumed = await PostAsync("/api/queue/resume", ""))
            Assert.Equal(2, (await DataAsync(resumed, HttpStatusCode.OK)).GetProperty("maxRunning").GetInt32());
        Assert.Equal(2, (await leases.ClaimAsync("w", 5, TimeSpan.FromMinutes(5), Cancel)).Count);
        using var metrics = await Api.GetAsync("/api/queue/metrics");
        Assert.Equal(2, (await DataAsync(metrics, HttpStatusCode.OK)).GetProperty("limits").GetProperty("maxRunning").GetInt32());
        using var nobody = await Api.GetAsync($"/api/admin/queue/{Guid.NewGuid()}");
        await ApiHost.ProblemAsync(nobody, 404);
    }

    [Fact]
    public async Task HistoryTrigger_JobThatHasEnded_CannotBeWokenByAnyStatement()
    {
        var id = Id((await SubmitAsync(Chat)).Data);
        (await PostAsync($"/api/queue/jobs/{id}/cancel", "")).Dispose();

        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => MigratedDatabase.ExecuteAsync(
            Database.Admin, $"UPDATE llm_jobs SET state = 'queued', finished_at = NULL WHERE id = '{id}'"));

        Assert.Equal("23001", refused.SqlState);
    }

    private static Guid Id(JsonElement job) => job.GetProperty("jobId").GetGuid();

    private Task<long> CountAsync() => Database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs");

    private async Task<(HttpStatusCode Status, JsonElement Data, bool Replayed)> SubmitAsync(string body, string? key = null)
    {
        using var response = await PostAsync("/api/queue/llm", body, key);
        return (response.StatusCode, await DataAsync(response, HttpStatusCode.Accepted), response.Headers.Contains("Idempotency-Replayed"));
    }

    private async Task<HttpResponseMessage> PostAsync(string path, string body, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body) };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return await Api.Client.SendAsync(request, Cancel);
    }

    private static async Task<JsonElement> DataAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.True(expected == response.StatusCode, $"{(int)response.StatusCode} {text}");
        return JsonDocument.Parse(text).RootElement.GetProperty("data");
    }

    public sealed class Shared(ServersFixture servers) : IAsyncLifetime
    {
        internal ApiHost Api { get; private set; } = null!;

        public MigratedDatabase Database { get; } = new(servers);

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Api = new ApiHost(database: Database.App, cache: Database.Redis, settings: ("RateLimiting:Enabled", "false"));
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Database.DisposeAsync();
        }

        /// <summary>Each test begins with an empty queue.</summary>
        public Task EmptyAsync() => MigratedDatabase.ExecuteAsync(
            Database.Admin, "TRUNCATE llm_jobs, llm_job_events, llm_job_requests, llm_job_limits, llm_job_schedules CASCADE");
    }
}
