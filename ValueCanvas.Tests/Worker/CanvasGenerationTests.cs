using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Canvases;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

/// <summary>From the API through the queue to the model and back, with the worker's own handler.</summary>
public sealed class CanvasGenerationTests(ServersFixture servers) : IAsyncLifetime
{
    private readonly MigratedDatabase _database = new(servers);
    private FakeInference _inference = null!;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
        _inference.Answer = context => FakeInference.Text(
            context, 200, FakeInference.Completion(CanvasGeneratorTests.ValidAnswer(CanvasType.Lean).ToJsonString()));
    }

    public async ValueTask DisposeAsync()
    {
        await _inference.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Job_SubmittedThroughTheApi_StoresACanvasThatTheApiShowsAsTheResultDoes()
    {
        await using var api = new ApiHost(_inference.Address, _database.App, _database.Redis);
        await using var worker = await StartWorkerAsync();

        using var accepted = await api.PostAsync(
            "/api/queue/llm",
            """
            {"type":"canvas_generation","promptKey":"canvas.generate",
             "promptVariables":{"businessDescription":"A bakery","industry":"Food & drink","type":"lean"}}
            """);
        var id = (await ApiHost.JsonAsync(accepted)).GetProperty("data").GetProperty("jobId").GetGuid();
        await worker.UntilAsync(id, JobState.Succeeded);

        using var job = await api.GetAsync($"/api/queue/jobs/{id}");
        var result = (await ApiHost.JsonAsync(job)).GetProperty("data").GetProperty("result");
        using var canvas = await api.GetAsync($"/api/canvas/{result.GetProperty("canvasId").GetString()}");
        Assert.Equal(HttpStatusCode.OK, canvas.StatusCode);
        var shown = (await ApiHost.JsonAsync(canvas)).GetProperty("data");
        Assert.Equal("lean", shown.GetProperty("type").GetString());
        Assert.True(JsonElement.DeepEquals(shown, result.GetProperty("canvas")), $"{shown}\n{result.GetProperty("canvas")}");
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("""{"businessDescription":5}""")]
    public async Task Job_ArgumentsThatDoNotFit_FailsWithoutACallToTheModel(string args)
    {
        await using var worker = await StartWorkerAsync();

        var job = await worker.EnqueueAsync(JobTypes.CanvasGeneration, args);

        var done = await worker.UntilAsync(job.Id, JobState.Failed);
        Assert.Equal((1, "invalid_arguments"), (done.Job.Attempt, done.Job.ErrorCode));
        Assert.Empty(_inference.Seen);
    }

    private Task<WorkerHost> StartWorkerAsync() => WorkerHost.StartAsync(
        _database,
        builder =>
        {
            builder.AddServiceDefaults();
            builder.AddInference();
            builder.Services.AddCanvases();
            builder.Services.AddJobHandlers();
        },
        settings: [("services:inference:http:0", _inference.Address), ("LOG_LEVEL", "none")]);
}
