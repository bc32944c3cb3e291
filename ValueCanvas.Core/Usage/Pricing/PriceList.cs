using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage.Pricing;

/// <summary>The prices of now: those that operators set live before those of the configuration.</summary>
public sealed class PriceList
{
    private const double MinutesPerHour = 60;
    private const int MostModels = 10_000;

    private readonly UsageOptions _options;
    private State _state;

    public PriceList(IOptions<UsageOptions> options)
    {
        _options = options.Value;
        _state = new State([], Configured());
    }

    /// <summary>All of them: the live ones, and those of the configuration.</summary>
    public (IReadOnlyList<Price> Live, IReadOnlyList<Price> Configured) All => (_state.Live, _state.Configured);

    internal void Follow(IReadOnlyList<Price> live) => Volatile.Write(ref _state, new State(live, Configured()));

    /// <summary>US dollars; null where the model has no price on that day.</summary>
    internal decimal? CostOf(string? provider, string? model, DateTimeOffset at, TokenUsage usage) =>
        Find(provider ?? "", model ?? "", at)?.CostOf(usage);

    /// <summary>What our own replicas' time cost the house; null where it has no price.</summary>
    internal decimal? ReplicaCost(IReadOnlyList<InferenceAttempt> attempts)
    {
        decimal? sum = null;
        foreach (var attempt in attempts)
        {
            if (attempt.ReplicaTime > TimeSpan.Zero && _options.ReplicaHour.TryGetValue(attempt.Provider, out var hour))
                sum = (sum ?? 0) + hour * (decimal)(attempt.ReplicaTime.TotalMinutes / MinutesPerHour);
        }

        return sum is { } cost ? decimal.Round(cost, 10) : null;
    }

    /// <summary>What a call may cost: at most in strict mode, usually otherwise. The dearest of the prices that the model may come
    /// to.</summary>
    internal decimal Estimate(AskedCall asked, BudgetMode mode, DateTimeOffset at)
    {
        var strict = mode == BudgetMode.Strict;
        var most = asked.MaxOutput ?? _options.Budgets.MaxOutputTokens;
        var output = (strict ? most : Math.Min(most, _options.Budgets.UsualOutputTokens)) * (long)asked.Choices;
        // No tokenizer makes more tokens than bytes.
        var input = strict ? asked.Bytes : asked.Bytes / 4;
        var usage = new TokenUsage((int)Math.Min(input, int.MaxValue), (int)Math.Min(output, int.MaxValue), 0);
        return _state.Dearest(asked.Model ?? "", at)?.CostOf(usage) ?? 0;
    }

    private Price? Find(string provider, string model, DateTimeOffset at)
    {
        var state = Volatile.Read(ref _state);
        var day = DateOnly.FromDateTime(at.UtcDateTime);
        if (!state.Known.TryGetValue((provider, model), out var prices))
        {
            prices = state.Find(provider, model);
            if (state.Known.Count < MostModels)
                state.Known[(provider, model)] = prices;
        }

        return prices.FirstOrDefault(price => price.From <= day);
    }

    private List<Price> Configured() => [.. _options.Prices.Select(Price.Of)];

    private sealed record State(IReadOnlyList<Price> Live, IReadOnlyList<Price> Configured)
    {
        /// <summary>By provider and model; the ones that count first come first.</summary>
        public ConcurrentDictionary<(string Provider, string Model), Price[]> Known { get; } = new();

        public Price[] Find(string provider, string model) =>
        [
            .. Live.Select(price => (Price: price, IsLive: true)).Concat(Configured.Select(price => (Price: price, IsLive: false)))
                .Where(entry => entry.Price.IsOf(provider, model))
                .OrderByDescending(entry => entry.Price.Precision)
                .ThenByDescending(entry => entry.IsLive)
                .ThenByDescending(entry => entry.Price.From)
                .Select(entry => entry.Price),
        ];

        /// <summary>Who will answer is not known yet; and an alias may mean any model.</summary>
        public Price? Dearest(string model, DateTimeOffset at)
        {
            var day = DateOnly.FromDateTime(at.UtcDateTime);
            var all = Live.Concat(Configured).Where(price => price.From <= day).ToArray();
            var named = all.Where(price => price.IsOf(price.Provider, model)).ToArray();
            return (named.Length > 0 ? named : all).MaxBy(price => price.Input + price.Output);
        }
    }
}
