using System.Net;
using System.Text.Json;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Jobs;

public sealed class JobEndpointsTests(JobSubmissionTests.Shared shared) : IClassFixture<JobSubmissionTests.Shared>, IAsyncLifetime
{
    private const string Valid =
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"A bakery in Lyon"}}""";

    private readonly MigratedDatabase _database = shared.Database;
    private readonly ApiHost _api = shared.Api;

    public async ValueTask InitializeAsync() => await shared.EmptyAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Submit_ValidJob_Is202WithTheStoredJobAtItsLocation()
    {
        using var accepted = await _api.PostAsync("/api/queue/llm", Valid);

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var body = await ApiHost.JsonAsync(accepted);
        Assert.True(body.GetProperty("success").GetBoolean());
        var job = body.GetProperty("data");
        Assert.Equal("queued", job.GetProperty("status").GetString());
        Assert.Equal($"/api/queue/jobs/{job.GetProperty("jobId").GetString()}", accepted.Headers.Location!.ToString());
        Assert.Equal(
            """{"businessDescription": "A bakery in Lyon"}""",
            await _database.ScalarAsync<string>($"SELECT args::text FROM llm_jobs WHERE id = '{job.GetProperty("jobId").GetString()}'"));

        using var found = await _api.GetAsync(accepted.Headers.Location.ToString());
        var shown = await DataAsync(found);
        Assert.All(
            job.EnumerateObject(),
            property => Assert.Equal(property.Value.GetRawText(), shown.GetProperty(property.Name).GetRawText()));
        Assert.Equal("submitted", Assert.Single(shown.GetProperty("history").EnumerateArray()).GetProperty("event").GetString());
    }

    [Theory]
    [InlineData("""{}""", "type")]
    [InlineData("""{"type":"poem","promptKey":"canvas.generate"}""", "type")]
    [InlineData("""{"type":"canvas_generation"}""", "promptKey")]
    [InlineData("""{"type":"canvas_generation","promptKey":"no.such"}""", "promptKey")]
    [InlineData("""{"type":"canvas_generation","promptKey":"canvas.system.lean","promptVariables":{}}""", "promptKey")]
    [InlineData("""{"type":"canvas_generation","promptKey":"canvas.generate"}""", "promptVariables.businessDescription")]
    [InlineData(
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"a\u0000b"}}""",
        "promptVariables.businessDescription")]
    [InlineData(
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"x","type":"round"}}""",
        "promptVariables.type")]
    public async Task Submit_JobThatCannotSucceed_Is422ThatNamesTheField(string body, string field)
    {
        using var refused = await _api.PostAsync("/api/queue/llm", body);

        var problem = await ApiHost.ProblemAsync(refused, 422);
        Assert.Contains(field, problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
    }

    [Theory]
    [InlineData("{\"type\":")]
    [InlineData("[]")]
    [InlineData("""{"type":1}""")]
    [InlineData("""{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":"x"}""")]
    public async Task Submit_BodyThatIsNoJob_Is400(string body)
    {
        using var refused = await _api.PostAsync("/api/queue/llm", body);

        await ApiHost.ProblemAsync(refused, 400);
    }

    [Theory]
    [InlineData("not-an-id", 404)]
    [InlineData("00000000-0000-0000-0000-000000000001", 404)]
    public async Task Get_UnknownId_Is404(string id, int status)
    {
        using var missing = await _api.GetAsync($"/api/queue/jobs/{id}");

        await ApiHost.ProblemAsync(missing, status);
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=x", "limit")]
    [InlineData("status=done", "status")]
    [InlineData("cursor=x", "cursor")]
    [InlineData("cursor=00000000-0000-0000-0000-000000000001", "cursor")]
    public async Task List_BadParameter_Is400ThatNamesIt(string query, string field)
    {
        using var refused = await _api.GetAsync($"/api/queue/jobs?{query}");

        var problem = await ApiHost.ProblemAsync(refused, 400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }

    [Fact]
    public async Task List_PageByPage_ShowsEveryJobOnce()
    {
        for (var i = 0; i < 3; i++)
            (await _api.PostAsync("/api/queue/llm", Valid)).Dispose();

        var ids = new List<string?>();
        var path = "/api/queue/jobs?limit=2&status=queued";
        for (var next = path; next is not null;)
        {
            using var response = await _api.GetAsync(next);
            var page = await DataAsync(response);
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(job => job.GetProperty("jobId").GetString()));
            next = page.GetProperty("nextCursor").GetString() is { } cursor ? $"{path}&cursor={cursor}" : null;
        }

        Assert.Equal(3, ids.Distinct().Count());
        Assert.Equal(3, ids.Count);
    }

    [Fact]
    public async Task Metrics_SomeJobs_CountsThemByState()
    {
        (await _api.PostAsync("/api/queue/llm", Valid)).Dispose();

        using var response = await _api.GetAsync("/api/queue/metrics");

        var metrics = await DataAsync(response);
        Assert.Equal(1, metrics.GetProperty("jobs").GetProperty("queued").GetInt64());
        Assert.Equal(0, metrics.GetProperty("jobs").GetProperty("failed").GetInt64());
        Assert.Equal(1, metrics.GetProperty("total").GetInt64());
        Assert.True(metrics.GetProperty("oldestWaitSeconds").GetDouble() >= 0);
    }

    [Fact]
    public async Task Submit_NoRedis_IsAcceptedAllTheSame()
    {
        await using var api = new ApiHost(database: _database.App);

        using var accepted = await api.PostAsync("/api/queue/llm", Valid);

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
    }

    [Fact]
    public async Task Submit_NoDatabase_Is503AndNothingIsPromised()
    {
        await using var api = new ApiHost(cache: _database.Redis);

        using var refused = await api.PostAsync("/api/queue/llm", Valid);

        await ApiHost.ProblemAsync(refused, 503);
        Assert.NotNull(refused.Headers.RetryAfter);
    }

    private static async Task<JsonElement> DataAsync(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await ApiHost.JsonAsync(response)).GetProperty("data");
    }
}
