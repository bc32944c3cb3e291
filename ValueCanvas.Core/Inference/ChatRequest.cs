using System.Text.Json;

namespace ValueCanvas.Core.Inference;

/// <summary>One message of a conversation. <paramref name="Role"/> is <c>system</c>, <c>user</c> or <c>assistant</c>.</summary>
public sealed record ChatMessage(string Role, string Content);

/// <summary>A chat completion to ask for, in the fields that the platform itself uses; <c>/v1</c> forwards any other as it came.</summary>
/// <param name="Messages">The conversation, oldest first; at least one.</param>
public sealed record ChatRequest(IReadOnlyList<ChatMessage> Messages)
{
    /// <summary>What the proxy routes by; <c>default</c> means the model that it is configured with.</summary>
    public const string DefaultModel = "default";

    public string Model { get; init; } = DefaultModel;

    /// <summary>0 to 2; null leaves it to the model server.</summary>
    public double? Temperature { get; init; }

    /// <summary>Most tokens to generate; null leaves it to the model server.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Name and JSON Schema that the answer must match; null for free text.</summary>
    public ResponseSchema? Schema { get; init; }

    /// <summary>The end user, for the provider's abuse detection.</summary>
    public string? User { get; init; }

    /// <summary>On whose behalf and for what; null for nobody's, which is neither counted nor cached.</summary>
    public InferenceCall? Call { get; init; }

    /// <summary>low, medium, high or critical; null leaves the choice of targets to the proxy's default.</summary>
    public string? RiskLevel { get; init; }
}

/// <summary>A JSON Schema that the model server is asked to keep to.</summary>
public sealed record ResponseSchema(string Name, JsonElement Schema);
