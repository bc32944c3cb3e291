using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Canvases;

/// <summary>Generates a canvas from the variables of its prompt; canvas and result are stored in one transaction.</summary>
internal sealed class CanvasGenerationHandler(CanvasGenerator generator, PromptCatalog prompts) : IJobHandler
{
    public string Type => JobTypes.CanvasGeneration;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        if (JobArgs.Read(job, prompts) is not { } variables)
            return JobArgs.Invalid(job);

        var canvas = await generator.GenerateAsync(
            JobCalls.Of(job), CanvasBrief.FromVariables(variables), cancellationToken);
        var result = new CanvasResult(canvas.Id, CanvasView.Of(canvas));
        return new JobOutcome.Succeeded(
            JsonSerializer.Serialize(result, CanvasResultContext.Default.CanvasResult),
            (db, _) =>
            {
                db.Add(canvas);
                return Task.CompletedTask;
            });
    }
}

/// <summary>Result of a job that made or changed a canvas.</summary>
internal sealed record CanvasResult(Guid CanvasId, CanvasView Canvas);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CanvasResult))]
internal sealed partial class CanvasResultContext : JsonSerializerContext;
