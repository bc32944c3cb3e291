using System.Text.Json;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Jobs;

/// <summary>What a job of type <c>chat</c> takes: the fields of <c>POST /api/llm/chat</c>, but for <c>stream</c>.</summary>
public static class ChatArgs
{
    private const int MostTokens = 1_000_000;

    private static readonly string[] Known =
        ["prompt", "messages", "model", "system", "temperature", "maxTokens", "riskLevel", "userId"];

    private static readonly PromptVariable Text = new(Required: true, MaxLength: 1_000_000);
    private static readonly PromptVariable OptionalText = new(MaxLength: 1_000_000);
    private static readonly PromptVariable Name = new(MaxLength: 256);
    private static readonly PromptVariable Role = new(Required: true, Allowed: ["system", "user", "assistant"]);
    private static readonly PromptVariable Risk = new(Allowed: ["low", "medium", "high", "critical"]);

    public static IEnumerable<(string Field, string Problem)> Validate(IReadOnlyDictionary<string, JsonElement> variables, string prefix)
    {
        JsonElement? prompt = Find("prompt"), messages = Find("messages");
        if (prompt is null && messages is null)
            yield return ($"{prefix}.prompt", "is required, unless messages are given");
        if (prompt is not null && messages is not null)
            yield return ($"{prefix}.prompt", "must not be given together with messages; put it into the last message");
        else if (prompt is not null && Text.Problem(prompt) is { } promptProblem)
            yield return ($"{prefix}.prompt", promptProblem);
        if (messages is { } list)
        {
            foreach (var problem in ValidateMessages(list, $"{prefix}.messages"))
                yield return problem;
        }

        foreach (var (name, variable) in new[] { ("model", Name), ("userId", Name), ("system", OptionalText), ("riskLevel", Risk) })
        {
            if (variable.Problem(Find(name)) is { } problem)
                yield return ($"{prefix}.{name}", problem);
        }

        if (Find("temperature") is { } temperature
            && !(temperature.ValueKind == JsonValueKind.Number && temperature.GetDouble() is >= 0 and <= 2))
        {
            yield return ($"{prefix}.temperature", "must be a number between 0 and 2");
        }

        if (Find("maxTokens") is { } most
            && !(most.ValueKind == JsonValueKind.Number && most.TryGetInt32(out var tokens) && tokens is >= 1 and <= MostTokens))
        {
            yield return ($"{prefix}.maxTokens", $"must be an integer between 1 and {MostTokens}");
        }

        foreach (var name in variables.Keys.Where(name => !Known.Contains(name)))
            yield return ($"{prefix}.{name}", $"is nothing that {JobTypes.Chat} takes; it takes {string.Join(", ", Known)}");

        JsonElement? Find(string name) =>
            variables.TryGetValue(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined)
                ? value
                : null;
    }

    /// <summary>From variables that pass <see cref="Validate"/>.</summary>
    public static ChatRequest ToRequest(IReadOnlyDictionary<string, JsonElement> variables, InferenceCall call)
    {
        List<ChatMessage> messages = [];
        if (TextOf("system") is { } system && !string.IsNullOrWhiteSpace(system))
            messages.Add(new("system", system));
        if (variables.TryGetValue("messages", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            messages.AddRange(list.EnumerateArray().Select(message => new ChatMessage(
                message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!)));
        }
        else
        {
            messages.Add(new("user", TextOf("prompt")!));
        }

        return new ChatRequest(messages)
        {
            Model = ModelOf(variables),
            Temperature = NumberOf("temperature")?.GetDouble(),
            MaxTokens = NumberOf("maxTokens")?.GetInt32(),
            User = TextOf("userId"),
            RiskLevel = TextOf("riskLevel"),
            Call = call,
        };

        string? TextOf(string name) =>
            variables.TryGetValue(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

        JsonElement? NumberOf(string name) =>
            variables.TryGetValue(name, out var value) && value.ValueKind == JsonValueKind.Number ? value : null;
    }

    /// <summary>The model that variables which pass <see cref="Validate"/> ask for.</summary>
    public static string ModelOf(IReadOnlyDictionary<string, JsonElement> variables) =>
        variables.TryGetValue("model", out var model) && model.ValueKind == JsonValueKind.String
            && model.GetString() is { Length: > 0 } name
            ? name
            : ChatRequest.DefaultModel;

    private static IEnumerable<(string Field, string Problem)> ValidateMessages(JsonElement messages, string field)
    {
        if (messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
        {
            yield return (field, "must be an array with at least one message");
            yield break;
        }

        foreach (var (index, message) in messages.EnumerateArray().Index())
        {
            if (message.ValueKind != JsonValueKind.Object)
            {
                yield return ($"{field}[{index}]", "must be an object with role and content");
                continue;
            }

            if (Role.Problem(message.TryGetProperty("role", out var role) ? role : null) is { } roleProblem)
                yield return ($"{field}[{index}].role", roleProblem);
            if (Text.Problem(message.TryGetProperty("content", out var content) ? content : null) is { } contentProblem)
                yield return ($"{field}[{index}].content", contentProblem);
        }
    }
}
