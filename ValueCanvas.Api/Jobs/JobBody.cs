using System.Text.Json;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Jobs;

/// <summary>Body of <c>POST /api/queue/llm</c>.</summary>
internal sealed record JobBody(string? Type, string? PromptKey, Dictionary<string, JsonElement>? PromptVariables)
{
    /// <summary>What the worker gets: the variables, which fit the prompt.</summary>
    /// <exception cref="RequestException">422, by field; a job that cannot succeed is not accepted.</exception>
    public string ToArgs(PromptCatalog prompts)
    {
        var errors = new RequestErrors();
        if (string.IsNullOrEmpty(Type))
            errors.Add("type", $"is required; it must be one of: {string.Join(", ", JobTypes.All)}");
        else if (!JobTypes.All.Contains(Type))
            errors.Add("type", $"must be one of: {string.Join(", ", JobTypes.All)}");

        if (string.IsNullOrEmpty(PromptKey))
            errors.Add("promptKey", $"is required; for {JobTypes.CanvasGeneration} it is {CanvasBrief.PromptKey}");
        else if (prompts.Find(PromptKey) is not { } prompt)
            errors.Add("promptKey", $"names no prompt; for {JobTypes.CanvasGeneration} it is {CanvasBrief.PromptKey}");
        else if (Type == JobTypes.CanvasGeneration && PromptKey != CanvasBrief.PromptKey)
            errors.Add("promptKey", $"must be {CanvasBrief.PromptKey} for {JobTypes.CanvasGeneration}");
        else
            AddVariableErrors(prompt, errors);

        if (errors.Any)
        {
            var byField = errors.ToDictionary();
            var (field, problems) = byField.First();
            throw new RequestException(
                StatusCodes.Status422UnprocessableEntity, $"The job cannot be accepted: {field} {problems[0]}.", byField);
        }

        return JsonSerializer.Serialize(PromptVariables ?? [], JobContext.Default.DictionaryStringJsonElement);
    }

    private void AddVariableErrors(Prompt prompt, RequestErrors errors)
    {
        foreach (var (name, problems) in prompt.Validate(PromptVariables ?? []))
        {
            foreach (var problem in problems)
                errors.Add($"promptVariables.{name}", problem);
        }
    }
}
