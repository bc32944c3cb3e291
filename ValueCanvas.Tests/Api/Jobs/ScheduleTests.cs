using System.Net;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Jobs.Schedules;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Jobs;

public sealed class ScheduleTests(JobSubmissionTests.Shared shared) : IClassFixture<JobSubmissionTests.Shared>, IAsyncLifetime
{
    private const string Nightly =
        """
        {"name":"nightly","cron":"0 3 * * *","timeZone":"Europe/Berlin",
         "job":{"type":"chat","promptVariables":{"prompt":"x"},"priority":4}}
        """;

    private readonly MigratedDatabase _database = shared.Database;
    private readonly ApiHost _api = shared.Api;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await shared.EmptyAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Schedule_ItsTimeHasCome_SubmitsOneJobHoweverManyLook()
    {
        using (var created = await _api.PostAsync("/api/queue/schedules", Nightly))
            Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        await ComeAsync();

        var submitted = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => LookAsync()));

        Assert.Equal(1, submitted.Sum());
        Assert.Equal(
            "chat 4 {\"prompt\": \"x\"}",
            await _database.ScalarAsync<string>("SELECT type || ' ' || priority || ' ' || args FROM llm_jobs"));
        Assert.True(await _database.ScalarAsync<bool>("SELECT next_at > now() AND last_at < now() FROM llm_job_schedules"));

        // The job of the time before has not ended: this one is left out, but not the next.
        await ComeAsync();
        Assert.Equal(0, await LookAsync());
        var leases = _api.Services.GetRequiredService<JobLeases>();
        await leases.CompleteAsync(Assert.Single(await leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(1), Cancel)), "{}", null, Cancel);
        await ComeAsync();
        Assert.Equal(1, await LookAsync());
    }

    [Fact]
    public async Task Schedule_DisabledOrRemoved_SubmitsNothing()
    {
        using var created = await _api.PostAsync("/api/queue/schedules", Nightly);
        var path = created.Headers.Location!.ToString();
        using (var changed = await _api.Client.PutAsync(
            path, new StringContent(Nightly.Replace("\"timeZone\"", "\"enabled\":false,\"timeZone\"", StringComparison.Ordinal)), Cancel))
        {
            Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        }

        await ComeAsync();
        Assert.Equal(0, await LookAsync());

        using (var removed = await _api.Client.DeleteAsync(path, Cancel))
            Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        using var gone = await _api.GetAsync(path);
        await ApiHost.ProblemAsync(gone, 404);
        using var list = await _api.GetAsync("/api/queue/schedules");
        Assert.Empty((await ApiHost.JsonAsync(list)).GetProperty("data").GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task Create_NameTaken_Is409()
    {
        (await _api.PostAsync("/api/queue/schedules", Nightly)).Dispose();

        using var refused = await _api.PostAsync("/api/queue/schedules", Nightly);

        await ApiHost.ProblemAsync(refused, 409);
    }

    [Theory]
    [InlineData("""{"name":"n","cron":"* * *","job":{"type":"chat","promptVariables":{"prompt":"x"}}}""", 400, "cron")]
    [InlineData(
        """{"name":"n","cron":"* * * * *","timeZone":"Mars/Base","job":{"type":"chat","promptVariables":{"prompt":"x"}}}""",
        400, "timeZone")]
    [InlineData("""{"name":"n","cron":"* * * * *"}""", 400, "job")]
    [InlineData("""{"name":"n","cron":"* * * * *","job":{"type":"chat"}}""", 422, "job.promptVariables.prompt")]
    public async Task Create_WhatCannotWork_IsRefusedByField(string body, int status, string field)
    {
        using var refused = await _api.PostAsync("/api/queue/schedules", body);

        Assert.True((await ApiHost.ProblemAsync(refused, status)).GetProperty("errors").TryGetProperty(field, out _));
    }

    private Task ComeAsync() =>
        MigratedDatabase.ExecuteAsync(_database.Admin, "UPDATE llm_job_schedules SET next_at = now() - interval '90 minutes'");

    private Task<int> LookAsync() => _api.Services.GetRequiredService<JobScheduler>().RunOnceAsync(Cancel);
}
