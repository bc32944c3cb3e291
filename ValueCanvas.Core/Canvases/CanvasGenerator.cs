using System.Text.Json;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Canvases;

/// <summary>Makes a canvas from a brief: renders the prompts, asks a model for JSON of the type's schema, checks what comes back.</summary>
public sealed partial class CanvasGenerator(
    PromptCatalog prompts, InferenceClient inference, TimeProvider time, ILogger<CanvasGenerator> logger)
{
    /// <summary>So often a model is asked for one canvas at most.</summary>
    public const int MaxAttempts = 2;

    /// <summary>The most tokens that one answer may have.</summary>
    public const int MaxOutputTokens = 2048;

    private const double Temperature = 0.4;

    /// <summary>
    /// A new canvas that is not stored yet. An answer that is not valid is asked for once more, with what was wrong with it.
    /// </summary>
    /// <exception cref="InferenceException">
    /// The model call failed; <see cref="InferenceFailure.InvalidAnswer"/> where the second answer was not valid either.
    /// </exception>
    /// <exception cref="ArgumentException">The brief does not pass the prompt's validation.</exception>
    /// <param name="call">On whose behalf; each question to the model is a call of its own like it.</param>
    /// <param name="brief">What the canvas is to be about.</param>
    /// <param name="cancellationToken">Ends the model's work, too.</param>
    public async Task<Canvas> GenerateAsync(InferenceCall call, CanvasBrief brief, CancellationToken cancellationToken)
    {
        var schema = CanvasSchema.For(brief.Type);
        var instruction = Require($"canvas.system.{brief.Type.ToWireName()}");
        var question = Require(CanvasBrief.PromptKey);
        List<ChatMessage> messages =
        [
            new("system", instruction.Render(new Dictionary<string, JsonElement>())),
            new("user", question.Render(brief.ToVariables())),
        ];

        TokenUsage? spent = null;
        for (var attempt = 1; ; attempt++)
        {
            var completion = await inference.ChatAsync(
                new ChatRequest(messages)
                {
                    MaxTokens = MaxOutputTokens,
                    Temperature = Temperature,
                    Schema = new(schema.Name, schema.Document),
                    Call = call.Again() with { Prompt = (question.Key, question.Version), JobQuestion = attempt - 1 },
                },
                cancellationToken);
            spent = Sum(spent, completion.Usage);

            var answer = CanvasAnswer.Read(schema, completion.Text, completion.FinishReason == "length");
            if (answer.Content is { } content)
                return ToCanvas(call.TenantId, brief, content, completion.Model, $"{Version(question)},{Version(instruction)}", spent);

            Log.InvalidAnswer(logger, schema.Name, attempt, answer.Problems.Count);
            if (attempt == MaxAttempts)
            {
                throw new InferenceException(
                    InferenceFailure.InvalidAnswer,
                    $"The model gave no valid canvas in {MaxAttempts} attempts. Try again, or describe the business in more detail.");
            }

            messages.Add(new("assistant", completion.Text));
            var problems = string.Join("; ", answer.Problems);
            messages.Add(new("user", $"That was not valid: {problems}. Answer again with the whole JSON object."));
        }
    }

    private Prompt Require(string key) => prompts.Find(key) ?? throw new InvalidOperationException($"The prompt {key} is missing.");

    private static string Version(Prompt prompt) => $"{prompt.Key}@{prompt.Version}";

    private static TokenUsage? Sum(TokenUsage? left, TokenUsage? right) => (left, right) switch
    {
        (null, _) => right,
        (_, null) => left,
        _ => new(
            left.InputTokens + right.InputTokens, left.OutputTokens + right.OutputTokens, left.CachedInputTokens + right.CachedInputTokens),
    };

    private Canvas ToCanvas(
        Guid tenantId, CanvasBrief brief, CanvasContent content, string model, string promptVersion, TokenUsage? spent)
    {
        // PostgreSQL keeps microseconds: what is answered now is what a later read answers.
        var now = time.GetUtcNow();
        now = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond));
        return new Canvas
        {
            Id = Guid.CreateVersion7(now),
            TenantId = tenantId,
            Type = brief.Type,
            Title = content.Title,
            BusinessDescription = brief.BusinessDescription,
            Industry = brief.Industry,
            Content = content.ToJson(),
            Model = model,
            PromptVersion = promptVersion,
            InputTokens = spent?.InputTokens,
            OutputTokens = spent?.OutputTokens,
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Attempt {Attempt} at a {Schema} gave an answer that is not valid ({Problems} problems)")]
        public static partial void InvalidAnswer(ILogger logger, string schema, int attempt, int problems);
    }
}
