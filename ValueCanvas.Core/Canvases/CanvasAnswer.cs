using System.Text.Json;

namespace ValueCanvas.Core.Canvases;

/// <summary>A model's answer, read: either a content that is valid and tidy, or what is wrong with it.</summary>
internal sealed record CanvasAnswer(CanvasContent? Content, IReadOnlyList<string> Problems)
{
    public static CanvasAnswer Read(CanvasSchema schema, string text, bool cutShort)
    {
        if (cutShort)
            return new(null, ["the answer was too long and was cut off: use fewer and shorter items"]);
        var json = Unfenced(text);
        if (schema.Validate(json) is { Count: > 0 } problems)
            return new(null, problems);

        CanvasContent raw;
        try
        {
            raw = CanvasContent.Parse(json);
        }
        catch (JsonException)
        {
            // The validator's reader is more lenient (comments, single quotes) than JSON is.
            return new(null, ["the answer is not strict JSON"]);
        }

        var tidy = Tidy(schema, raw);
        return schema.Validate(tidy.ToJson()) is { Count: > 0 } left
            ? new(null, [.. left.Select(problem => $"{problem} (items that are empty or said twice do not count)")])
            : new(tidy, []);
    }

    private static CanvasContent Tidy(CanvasSchema schema, CanvasContent raw) => new(
        Tidy(raw.Title),
        raw.CustomerSegment is { } segment ? Tidy(segment) : null,
        schema.Blocks.ToDictionary(
            block => block,
            IReadOnlyList<string> (block) =>
                [.. raw.Blocks[block].Select(Tidy).Where(item => item.Length > 0).Distinct(StringComparer.OrdinalIgnoreCase)]));

    /// <summary>One line without control characters (PostgreSQL's jsonb refuses U+0000) and without spaces around.</summary>
    private static string Tidy(string text) =>
        string.Join(' ', string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)).Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Models without guided decoding like to wrap JSON in a Markdown fence.</summary>
    private static string Unfenced(string text)
    {
        var trimmed = text.Trim();
        if (!trimmed.StartsWith("```", StringComparison.Ordinal) || !trimmed.EndsWith("```", StringComparison.Ordinal))
            return trimmed;
        var start = trimmed.IndexOf('\n');
        return start < 0 || start >= trimmed.Length - 3 ? trimmed : trimmed[start..^3].Trim();
    }
}
