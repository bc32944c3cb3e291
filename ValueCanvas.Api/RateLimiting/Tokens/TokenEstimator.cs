using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>What a request is taken to need, before it is known.</summary>
internal sealed class TokenEstimator(IOptions<RateLimitingOptions> options)
{
    private const int MaxModels = 1000;
    private const string Others = "(others)";

    /// <summary>A model's own template, with what it says before the first message.</summary>
    private const int TemplateTokens = 64;

    /// <summary>A large picture, or a minute of speech.</summary>
    private const int MediaTokens = 2048;

    private readonly ConcurrentDictionary<string, OutputStatistics> _models = new(StringComparer.Ordinal);

    public OutputStatistics For(string model) =>
        _models.TryGetValue(model, out var known) ? known
        : _models.GetOrAdd(_models.Count < MaxModels ? model : Others, _ => new OutputStatistics());

    /// <summary>Prompt and output. In strict mode the most that can be, or a null output where there is no such number.</summary>
    public (long Prompt, long? Output) Estimate(TokenMode mode, TokenCost cost, BodyPeek body, OutputStatistics known)
    {
        var bytes = body.PromptBytes + cost.HiddenPromptBytes;
        long? most = (body.MaxOutput ?? cost.MaxOutputByDefault) * (long)body.Choices * cost.Attempts;
        if (mode == TokenMode.Strict)
        {
            // No tokenizer makes more tokens than bytes. A second attempt reads the first answer, too.
            var again = (cost.Attempts - 1) * (most ?? 0);
            return (cost.Attempts * (bytes + TemplateTokens + (long)MediaTokens * body.MediaParts) + again, most);
        }

        var prompt = (long)Math.Ceiling(bytes * known.TokensPerByte) + (long)MediaTokens * body.MediaParts;
        var usual = (long)(known.Output ?? options.Value.DefaultOutputTokens) * body.Choices;
        return (prompt, most is { } limit ? Math.Min(limit, usual) : usual);
    }
}
