using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Pricing;

/// <summary>What a model costs from a day on, in US dollars per million tokens.</summary>
/// <param name="Model">As its server calls it; <c>*</c> at the end stands for anything.</param>
/// <param name="Provider">As the proxy names it; empty: any.</param>
/// <param name="From">UTC.</param>
/// <param name="Input">For tokens of prompts.</param>
/// <param name="CachedInput">For those of them that were cached; null: as any others.</param>
/// <param name="Output">For tokens of answers.</param>
/// <param name="Reasoning">For those of them that are reasoning; null: as any others.</param>
public sealed record Price(
    string Model, string Provider, DateOnly From, decimal Input, decimal? CachedInput, decimal Output, decimal? Reasoning)
{
    private const decimal Million = 1_000_000;

    // As many as the column has.
    private const int Decimals = 10;

    /// <summary>Never below zero, whatever a server counts.</summary>
    public decimal CostOf(TokenUsage usage)
    {
        var cached = Math.Clamp(usage.CachedInputTokens, 0, Math.Max(0, usage.InputTokens));
        var reasoning = Math.Clamp(usage.ReasoningTokens, 0, Math.Max(0, usage.OutputTokens));
        var cost = (Math.Max(0, usage.InputTokens) - cached) * Input + cached * (CachedInput ?? Input)
            + (Math.Max(0, usage.OutputTokens) - reasoning) * Output + reasoning * (Reasoning ?? Output);
        return decimal.Round(cost / Million, Decimals);
    }

    internal bool IsOf(string provider, string model) =>
        (Provider.Length == 0 || Provider == provider)
        && (Model.EndsWith('*') ? model.StartsWith(Model.AsSpan(0, Model.Length - 1), StringComparison.Ordinal) : Model == model);

    /// <summary>Of two prices that both hold, the one that says more of what it is for; a name in full says most.</summary>
    internal (bool Provider, bool Exact, int Length) Precision => (Provider.Length > 0, !Model.EndsWith('*'), Model.Length);

    internal static Price Of(PriceOptions options) => new(
        options.Model, options.Provider, options.From ?? DateOnly.MinValue, options.Input, options.CachedInput, options.Output,
            options.Reasoning);
}
