using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.VllmSimulator.OpenAi;

internal sealed class StreamOptions
{
    public bool? IncludeUsage { get; set; }

    public bool? ContinuousUsageStats { get; set; }
}

/// <summary>The fields that chat and text completions share. Unknown fields are ignored, as by vLLM.</summary>
internal abstract class GenerationRequest
{
    public string? Model { get; set; }

    public int? MaxTokens { get; set; }

    public int? MinTokens { get; set; }

    public int? N { get; set; }

    public double? Temperature { get; set; }

    public double? TopP { get; set; }

    public int? TopK { get; set; }

    public double? PresencePenalty { get; set; }

    public double? FrequencyPenalty { get; set; }

    public long? Seed { get; set; }

    public JsonElement? Stop { get; set; }

    public List<int>? StopTokenIds { get; set; }

    public bool? IncludeStopStrInOutput { get; set; }

    public bool? IgnoreEos { get; set; }

    public bool? Stream { get; set; }

    public StreamOptions? StreamOptions { get; set; }

    public JsonElement? ResponseFormat { get; set; }

    public JsonElement? StructuredOutputs { get; set; }

    public int? Priority { get; set; }

    public string? CacheSalt { get; set; }

    public bool? ReturnTokenIds { get; set; }

    public bool? Echo { get; set; }

    public string? RequestId { get; set; }
}

internal sealed class ChatRequest : GenerationRequest
{
    public List<ChatMessage>? Messages { get; set; }

    public int? MaxCompletionTokens { get; set; }

    public bool? Logprobs { get; set; }

    public int? TopLogprobs { get; set; }

    public List<ToolDefinition>? Tools { get; set; }

    public JsonElement? ToolChoice { get; set; }

    public bool? ParallelToolCalls { get; set; }

    public bool? AddGenerationPrompt { get; set; }

    public bool? ContinueFinalMessage { get; set; }
}

internal sealed class ChatMessage
{
    public string? Role { get; set; }

    public JsonElement? Content { get; set; }

    public JsonElement? ToolCalls { get; set; }

    public string? ToolCallId { get; set; }
}

internal sealed class ToolDefinition
{
    public string? Type { get; set; }

    public FunctionDefinition? Function { get; set; }
}

internal sealed class FunctionDefinition
{
    public string? Name { get; set; }

    public string? Description { get; set; }

    public JsonElement? Parameters { get; set; }
}

internal sealed class TextRequest : GenerationRequest
{
    public JsonElement? Prompt { get; set; }

    public int? Logprobs { get; set; }

    public string? Suffix { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(TextRequest))]
internal sealed partial class OpenAiJson : JsonSerializerContext;
