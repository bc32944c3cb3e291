namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>What shapes one completion, apart from the prompt.</summary>
internal sealed record Sampling
{
    public required int MaxTokens { get; init; }

    public int MinTokens { get; init; }

    public int Choices { get; init; } = 1;

    public bool Greedy { get; init; }

    public long Seed { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];

    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    public bool IncludeStop { get; init; }

    public bool IgnoreEos { get; init; }

    /// <summary>The alternatives to give with every token; null for no log probabilities.</summary>
    public int? Logprobs { get; init; }
}
