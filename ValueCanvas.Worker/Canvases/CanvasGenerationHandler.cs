using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;
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
        // The submission was validated; the prompt may have changed since, and a row may have been written by hand.
        if (!TryReadBrief(job, out var brief))
            return new JobOutcome.Rejected(new JobError("invalid_arguments", $"The job does not fit the prompt {CanvasBrief.PromptKey}."));

        var canvas = await generator.GenerateAsync(
            new InferenceCall(job.TenantId) { JobId = job.Id, Route = "worker/canvas_generation" }, brief, cancellationToken);
        var result = new CanvasGenerationResult(canvas.Id, CanvasView.Of(canvas));
        return new JobOutcome.Succeeded(
            JsonSerializer.Serialize(result, CanvasGenerationContext.Default.CanvasGenerationResult),
            db => db.Add(canvas));
    }

    private bool TryReadBrief(Job job, out CanvasBrief brief)
    {
        brief = null!;
        try
        {
            var variables = JsonSerializer.Deserialize(job.Args, CanvasGenerationContext.Default.DictionaryStringJsonElement);
            if (variables is null || prompts.Find(CanvasBrief.PromptKey)?.Validate(variables).Count is not 0)
                return false;
            brief = CanvasBrief.FromVariables(variables);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}

internal sealed record CanvasGenerationResult(Guid CanvasId, CanvasView Canvas);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CanvasGenerationResult))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class CanvasGenerationContext : JsonSerializerContext;
