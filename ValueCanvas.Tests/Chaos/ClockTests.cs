using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Chaos;

/// <summary>The Api's clock is five minutes fast and the worker's five minutes slow; the database's is the one that counts.</summary>
[Trait("fault", "clocks-apart")]
public sealed class ClockTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Apart = TimeSpan.FromMinutes(5);

    private readonly MigratedDatabase _database = new(servers);
    private FakeInference _inference = null!;


    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
        _inference.Answer = context => FakeInference.Stream(context, "Hello.");
    }

    public ValueTask DisposeAsync() => _inference.DisposeAsync();

    [Fact]
    public async Task Clocks_MinutesApart_JobsStartAndEndByTheDatabases()
    {
        var (fast, slow) = (new ShiftedClock(), new ShiftedClock());
        fast.Advance(Apart);
        slow.Advance(-Apart);
        await using var api = new ApiHost(fast, _inference.Address, _database.App, _database.Redis, ("RateLimiting:Enabled", "false"));
        await using var worker = await WorkerHost.StartAsync(
            _database,
            builder =>
            {
                builder.AddServiceDefaults();
                builder.AddInference();
                builder.Services.AddCanvases();
                builder.Services.AddJobHandlers();
                builder.Services.AddSingleton<TimeProvider>(slow);
            },
            settings: [("services:inference:http:0", _inference.Address), ("LOG_LEVEL", "none"), ("Worker:PollInterval", "00:00:00.3")]);

        // 1. By the Api's clock the deadline is over, by the worker's it is far away, and the start is in the past and in the future.
        var now = TimeProvider.System.GetUtcNow();
        var soon = now.AddSeconds(1);
        var job = await SubmitAsync(api, soon, now.AddMinutes(2));
        var done = await worker.UntilAsync(job, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Succeeded, 1), (done.Job.State, done.Job.Attempt));
        Assert.InRange(done.Job.StartedAt!.Value, soon, soon.AddMinutes(1));

        // 2. A deadline that is over by the database's clock is.
        using var late = await PostAsync(api, now, now.AddSeconds(-1));
        await ApiHost.ProblemAsync(late, 422);

        // 3. The next time of a schedule is the next.
        using var made = await api.PostAsync(
            "/api/queue/schedules",
            """{"name":"every minute","cron":"* * * * *","job":{"type":"chat","promptVariables":{"prompt":"Hi"}}}""");
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var left = await _database.ScalarAsync<double>(
            "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM llm_job_schedules");
        Assert.InRange(left, -60, 60);
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, job));
    }

    private static async Task<Guid> SubmitAsync(ApiHost api, DateTimeOffset runAt, DateTimeOffset deadline)
    {
        using var response = await PostAsync(api, runAt, deadline);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        return (await ApiHost.JsonAsync(response)).GetProperty("data").GetProperty("jobId").GetGuid();
    }

    private static Task<HttpResponseMessage> PostAsync(ApiHost api, DateTimeOffset runAt, DateTimeOffset deadline) => api.PostAsync(
        "/api/queue/llm",
        $$"""
          {"type":"chat","promptVariables":{"prompt":"Hi"},"runAt":"{{runAt.ToString("O", CultureInfo.InvariantCulture)}}",
          "deadline":"{{deadline.ToString("O", CultureInfo.InvariantCulture)}}"}
          """);
}
