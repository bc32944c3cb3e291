using System.Text.Json;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Canvases;

/// <summary>
/// Changes a canvas as a person asks for in words: the model answers with the whole canvas, which is checked against its schema.
/// </summary>
public sealed class CanvasRefiner(PromptCatalog prompts, InferenceClient inference)
{
    /// <summary>Key of the prompt.</summary>
    public const string PromptKey = "canvas.refine";

    private const double Temperature = 0.2;

    /// <summary>The content after the change, valid for the canvas' type; nothing is stored.</summary>
    /// <exception cref="InferenceException">
    /// The model call failed; <see cref="InferenceFailure.InvalidAnswer"/> where the second answer was not valid either.
    /// </exception>
    public async Task<CanvasContent> RefineAsync(
        InferenceCall call, Canvas canvas, string instruction, CancellationToken cancellationToken)
    {
        var schema = CanvasSchema.For(canvas.Type);
        var question = Require(PromptKey);
        List<ChatMessage> messages =
        [
            new("system", Require($"canvas.system.{canvas.Type.ToWireName()}").Render(new Dictionary<string, JsonElement>())),
            new("user", question.Render(new Dictionary<string, JsonElement>
            {
                ["canvas"] = JsonSerializer.SerializeToElement(CanvasContent.Of(canvas).ToJson()),
                ["instruction"] = JsonSerializer.SerializeToElement(instruction),
            })),
        ];

        for (var attempt = 1; ; attempt++)
        {
            var completion = await inference.ChatAsync(
                new ChatRequest(messages)
                {
                    MaxTokens = CanvasGenerator.MaxOutputTokens,
                    Temperature = Temperature,
                    Schema = new(schema.Name, schema.Document),
                    Call = call.Again() with { Prompt = (question.Key, question.Version), JobQuestion = attempt - 1 },
                },
                cancellationToken);
            var answer = CanvasAnswer.Read(schema, completion.Text, completion.FinishReason == "length");
            if (answer.Content is { } content)
                return content;
            if (attempt == CanvasGenerator.MaxAttempts)
            {
                throw new InferenceException(
                    InferenceFailure.InvalidAnswer,
                    $"The model gave no valid canvas in {CanvasGenerator.MaxAttempts} attempts. Say the change in other words.");
            }

            messages.Add(new("assistant", completion.Text));
            var problems = string.Join("; ", answer.Problems);
            messages.Add(new("user", $"That was not valid: {problems}. Answer again with the whole JSON object."));
        }
    }

    private Prompt Require(string key) => prompts.Find(key) ?? throw new InvalidOperationException($"The prompt {key} is missing.");
}
