using ValueCanvas.Core.Canvases;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>Says that an endpoint asks a model, and how its body tells how much; metadata.</summary>
internal sealed record TokenCost
{
    /// <summary>OpenAI's chat: <c>max_completion_tokens</c> or <c>max_tokens</c>, times <c>n</c>.</summary>
    public static readonly TokenCost OpenAi = new();

    /// <summary>OpenAI's older completions, whose <c>max_tokens</c> is 16 where it is not given.</summary>
    public static readonly TokenCost OpenAiText = new() { MaxOutputByDefault = 16 };

    /// <summary>Anthropic's messages: <c>max_tokens</c>, which every one of them says.</summary>
    public static readonly TokenCost Messages = new();

    /// <summary>Nothing is written, only read.</summary>
    public static readonly TokenCost Embedding = new() { MaxOutputByDefault = 0 };

    /// <summary>The platform's own chat: <c>maxTokens</c>.</summary>
    public static readonly TokenCost Chat = new();

    /// <summary>A canvas is asked for twice where the first answer is not one, with instructions of the platform's own.</summary>
    public static readonly TokenCost Canvas = new()
    {
        MaxOutputByDefault = CanvasGenerator.MaxOutputTokens,
        Attempts = CanvasGenerator.MaxAttempts,
        HiddenPromptBytes = 8 * 1024,
        Name = "(canvas)",
    };

    /// <summary>What the body leaves out; null: as much as the model likes.</summary>
    public int? MaxOutputByDefault { get; init; }

    /// <summary>Bytes of prompt that are not in the body.</summary>
    public int HiddenPromptBytes { get; init; }

    /// <summary>So often the model may be asked for one request, each time with the earlier answers.</summary>
    public int Attempts { get; init; } = 1;

    /// <summary>What answers are like is learned for this name instead of the model's.</summary>
    public string? Name { get; init; }
}
