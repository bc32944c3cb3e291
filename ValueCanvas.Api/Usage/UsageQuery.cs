using System.Globalization;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Usage;

/// <summary>What of the books is asked for: days (UTC, both included), by what they are summed, and of which model, key or prompt
/// alone.</summary>
internal sealed record UsageQuery(
    DateOnly From, DateOnly To, IReadOnlyList<string> By, string? Model, Guid? ApiKeyId, string? Prompt)
{
    public static readonly string[] Dimensions = ["day", "model", "key", "prompt"];

    private const int MostDays = 400;
    private const int UsualDays = 30;

    /// <exception cref="RequestException">400, with what to change.</exception>
    public static UsageQuery Read(
        string? from, string? to, string? by, string? model, string? key, string? prompt, DateTimeOffset now)
    {
        var last = ReadDay("to", to) ?? DateOnly.FromDateTime(now.UtcDateTime);
        var first = ReadDay("from", from) ?? last.AddDays(1 - UsualDays);
        if (first > last)
            throw RequestException.Invalid("from", "must not be later than to");
        if (last.DayNumber - first.DayNumber >= MostDays)
            throw RequestException.Invalid("from", $"must be within {MostDays} days before to");
        var dimensions = (by is { Length: > 0 } ? by : "day").Split(',', StringSplitOptions.TrimEntries).Distinct().ToArray();
        if (dimensions.Except(Dimensions).Any())
            throw RequestException.Invalid("by", $"must be one or more of: {string.Join(", ", Dimensions)}, joined by commas");
        return new(first, last, dimensions, ReadName("model", model), ReadKey(key), ReadName("prompt", prompt));
    }

    private static DateOnly? ReadDay(string field, string? text) =>
        string.IsNullOrEmpty(text) ? null
        : DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)
            && day.Year is >= 2000 and < 9000 ? day
        : throw RequestException.Invalid(field, "must be a day such as 2026-01-31");

    private static string? ReadName(string field, string? text) => text switch
    {
        null or "" => null,
        { Length: <= 256 } when !text.Contains('\0') => text,
        _ => throw RequestException.Invalid(field, "must have at most 256 characters and no U+0000"),
    };

    private static Guid? ReadKey(string? text) =>
        string.IsNullOrEmpty(text) ? null
        : Guid.TryParse(text, CultureInfo.InvariantCulture, out var id) ? id
        : throw RequestException.Invalid("key", "must be the id of an API key");
}
