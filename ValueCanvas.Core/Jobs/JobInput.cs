using System.Text.Json;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Jobs;

/// <summary>What each type of job takes: checked at submission, and again before it runs, for a row may be older than the rule.</summary>
public static class JobInput
{
    /// <summary>Key of the prompt that a refinement renders.</summary>
    public const string RefinementPromptKey = CanvasRefiner.PromptKey;

    private static readonly PromptVariable CanvasId = new(Required: true, MaxLength: 36);
    private static readonly PromptVariable Instruction = new(Required: true, MaxLength: 4000);

    /// <summary>
    /// What is wrong, by field: <c>type</c>, <c>promptKey</c>, <c>promptVariables.NAME</c>; nothing where the job can be accepted. Texts
    /// say what to change and repeat no value.
    /// </summary>
    public static IEnumerable<(string Field, string Problem)> Validate(
        string? type, string? promptKey, IReadOnlyDictionary<string, JsonElement> variables, PromptCatalog prompts) => type switch
        {
            JobTypes.Chat when promptKey is null => ChatArgs.Validate(variables, "promptVariables"),
            JobTypes.Chat => OfPrompt(promptKey, variables, prompts),
            JobTypes.CanvasGeneration when promptKey == CanvasBrief.PromptKey => OfPrompt(promptKey, variables, prompts),
            JobTypes.CanvasGeneration => [("promptKey", Key(promptKey, CanvasBrief.PromptKey, JobTypes.CanvasGeneration))],
            JobTypes.CanvasRefinement when promptKey is null or RefinementPromptKey => OfRefinement(variables),
            JobTypes.CanvasRefinement => [("promptKey", Key(promptKey, RefinementPromptKey, JobTypes.CanvasRefinement))],
            JobTypes.Batch when promptKey is null => BatchArgs.Validate(variables),
            JobTypes.Batch => [("promptKey", $"must be left out for {JobTypes.Batch}")],
            null or "" => [("type", $"is required; it must be one of: {string.Join(", ", JobTypes.All)}")],
            _ => [("type", $"must be one of: {string.Join(", ", JobTypes.All)}")],
        };

    private static string Key(string? given, string expected, string type) => string.IsNullOrEmpty(given)
        ? $"is required; for {type} it is {expected}"
        : $"must be {expected} for {type}";

    private static IEnumerable<(string Field, string Problem)> OfPrompt(
        string key, IReadOnlyDictionary<string, JsonElement> variables, PromptCatalog prompts) =>
        prompts.Find(key) is { } prompt
            ? prompt.Validate(variables).SelectMany(pair => pair.Value, (pair, problem) => ($"promptVariables.{pair.Key}", problem))
            : [("promptKey", $"names no prompt; there are {string.Join(", ", prompts.All.Select(known => known.Key))}")];

    private static IEnumerable<(string Field, string Problem)> OfRefinement(IReadOnlyDictionary<string, JsonElement> variables)
    {
        JsonElement? id = variables.TryGetValue("canvasId", out var givenId) ? givenId : null;
        JsonElement? instruction = variables.TryGetValue("instruction", out var givenInstruction) ? givenInstruction : null;
        if (CanvasId.Problem(id) is { } idProblem)
            yield return ("promptVariables.canvasId", idProblem);
        else if (!Guid.TryParse(id!.Value.GetString(), out _))
            yield return ("promptVariables.canvasId", "must be the id of a canvas");
        if (Instruction.Problem(instruction) is { } instructionProblem)
            yield return ("promptVariables.instruction", instructionProblem);
        foreach (var name in variables.Keys.Where(name => name is not ("canvasId" or "instruction")))
            yield return ($"promptVariables.{name}", $"is nothing that {JobTypes.CanvasRefinement} takes; it takes canvasId, instruction");
    }
}
