using Microsoft.Extensions.Options;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Core.Usage.Pricing;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Tests.Core.Usage;

public sealed class PriceTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Cached tokens are a part of the prompt's and cost less, reasoning is a part of the answer's and may cost more: neither
    /// counts twice.</summary>
    [Theory]
    [InlineData(100_000, 90_000, 1_000, 400, "0.1483")]
    [InlineData(1, 0, 0, 0, "0.0000025")]
    [InlineData(0, 0, 3, 3, "0.000036")]
    [InlineData(5, 9, 2, 7, "0.00003025")]
    public void Cost_WithCachedAndReasoningTokens_IsExact(int input, int cached, int output, int reasoning, string cost) =>
        Assert.Equal(
            decimal.Parse(cost, System.Globalization.CultureInfo.InvariantCulture),
            new Price("m", "", DateOnly.MinValue, 2.5m, 1.25m, 10, 12).CostOf(new TokenUsage(input, output, cached, reasoning)));

    [Fact]
    public void Cost_WithoutPricesOfTheirOwn_CountsCachedAndReasoningAsAnyOthers() =>
        Assert.Equal(0.00045m, new Price("m", "", DateOnly.MinValue, 1, null, 2, null).CostOf(new TokenUsage(250, 100, 200, 50)));

    [Fact]
    public void Prices_ByDate_CountFromTheirDayOn()
    {
        var prices = List(new PriceOptions { Model = "m", Input = 1 }, new PriceOptions { Model = "m", Input = 2, From = new(2026, 11,
            21) });

        Assert.Equal(1m, Cost(prices, "", "m", Now.AddDays(-1)));
        Assert.Equal(2m, Cost(prices, "", "m", Now));
    }

    [Fact]
    public void Prices_OfSeveralThatHold_TheMorePreciseOneCounts_AndTheLiveOneOfEqual()
    {
        var prices = List(
            new PriceOptions { Model = "*", Input = 1 },
            new PriceOptions { Model = "meta/*", Input = 2 },
            new PriceOptions { Model = "meta/llama", Input = 3 },
            new PriceOptions { Model = "meta/llama", Provider = "together", Input = 4 });
        prices.Follow([new Price("meta/llama", "", DateOnly.MinValue, 5, null, 0, null)]);

        Assert.Equal(1m, Cost(prices, "vllm", "other", Now));
        Assert.Equal(2m, Cost(prices, "vllm", "meta/x", Now));
        Assert.Equal(5m, Cost(prices, "vllm", "meta/llama", Now));
        Assert.Equal(4m, Cost(prices, "together", "meta/llama", Now));
    }

    [Fact]
    public void Model_WithoutAPrice_HasNoCost() => Assert.Null(Cost(List(), "vllm", "m", Now));

    [Fact]
    public void Replicas_Time_CostsTheirHour()
    {
        var prices = new PriceList(Options.Create(new UsageOptions { ReplicaHour = { ["vllm"] = 3.6m } }));

        Assert.Equal(0.0025m, prices.ReplicaCost([Attempt("vllm", 2), Attempt("vllm", 0.5), Attempt("openai", 0)]));
        Assert.Null(prices.ReplicaCost([Attempt("other", 1)]));
    }

    [Theory]
    [InlineData(BudgetMode.Strict, 100, "0.0003")]
    [InlineData(BudgetMode.Estimate, 100, "0.000225")]
    [InlineData(BudgetMode.Strict, null, "0.032868")]
    [InlineData(BudgetMode.Estimate, null, "0.001049")]
    public void Estimate_IsTheMostInStrictMode_AndTheUsualOtherwise(BudgetMode mode, int? maxOutput, string cost) =>
        Assert.Equal(
            decimal.Parse(cost, System.Globalization.CultureInfo.InvariantCulture),
            List(new PriceOptions { Model = "m", Input = 1, Output = 2 }).Estimate(new AskedCall("m", maxOutput, 1, 100), mode, Now));

    [Theory]
    [InlineData(BudgetPeriod.Day, "2026-11-21", "2026-11-22")]
    [InlineData(BudgetPeriod.Week, "2026-11-16", "2026-11-23")]
    [InlineData(BudgetPeriod.Month, "2026-11-01", "2026-12-01")]
    [InlineData(BudgetPeriod.Total, "2000-01-01", null)]
    public void Period_BeginsAndEnds_ByTheCalendar(BudgetPeriod period, string start, string? end)
    {
        Assert.Equal(start, period.StartOf(Now).ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(end, period.EndOf(Now)?.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture));
    }

    private static PriceList List(params PriceOptions[] prices) => new(Options.Create(new UsageOptions { Prices = [.. prices] }));

    private static decimal? Cost(PriceList prices, string provider, string model, DateTimeOffset at) =>
        prices.CostOf(provider, model, at, new TokenUsage(1_000_000, 0, 0));

    private static InferenceAttempt Attempt(string provider, double seconds) =>
        new("t", provider, "m", "none", false, true, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(seconds), null);
}
