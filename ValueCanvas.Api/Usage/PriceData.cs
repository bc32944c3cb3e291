using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Usage.Pricing;

namespace ValueCanvas.Api.Usage;

/// <summary>Body of <c>PUT /api/admin/prices</c>: what a model costs from a day on, in US dollars per million tokens.</summary>
internal sealed record PriceBody(
    string? Model, string? Provider, DateOnly? From, decimal? Input, decimal? CachedInput, decimal? Output,
    decimal? Reasoning) : IRequestBody
{
    private const int MostCharacters = 256;
    private const decimal Most = 1_000_000;

    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrWhiteSpace(Model) || Model.Length > MostCharacters || Model.Any(char.IsControl))
            errors.Add("model", $"is required: a model's name of at most {MostCharacters} characters; * at its end stands for anything");
        if (Provider is { Length: > MostCharacters } || Provider?.Any(char.IsControl) == true)
            errors.Add("provider", "must be a provider's name; leave it out for any");
        if (From is { Year: < 2000 or > 9000 })
            errors.Add("from", "must be a day such as 2026-01-31; leave it out for today");
        Check("input", Input, isRequired: true);
        Check("cachedInput", CachedInput, isRequired: false);
        Check("output", Output, isRequired: true);
        Check("reasoning", Reasoning, isRequired: false);

        void Check(string field, decimal? price, bool isRequired)
        {
            if (price is null ? isRequired : price is < 0 or > Most || decimal.Round(price.Value, 6) != price)
                errors.Add(field, $"must be between 0 and {Most}, with at most six decimals");
        }
    }

    public Price ToPrice(DateOnly today) =>
        new(Model!.Trim(), Provider?.Trim() ?? "", From ?? today, Input!.Value, CachedInput, Output!.Value, Reasoning);
}

/// <summary>A price; <c>source</c> says whether an operator set it live or the configuration has it.</summary>
internal sealed record PriceData(
    string Model, string Provider, DateOnly From, decimal Input, decimal? CachedInput, decimal Output, decimal? Reasoning, string Source)
{
    public static PriceData Of(Price price, string source) =>
        new(price.Model, price.Provider, price.From, price.Input, price.CachedInput, price.Output, price.Reasoning, source);
}
