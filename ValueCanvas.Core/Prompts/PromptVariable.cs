using System.Text.Json;

namespace ValueCanvas.Core.Prompts;

/// <summary>A text that a prompt's template takes.</summary>
/// <param name="Description">For people.</param>
/// <param name="Required">True where the prompt makes no sense without it; an optional one may be absent or null.</param>
/// <param name="MaxLength">Longest value, in UTF-16 code units; null means the default of <see cref="DefaultMaxLength"/>.</param>
/// <param name="Allowed">The only values there are; null where any text is one.</param>
public sealed record PromptVariable(
    string? Description = null, bool Required = false, int? MaxLength = null, IReadOnlyList<string>? Allowed = null)
{
    public const int DefaultMaxLength = 20_000;

    /// <summary>What is wrong with a value, or null. Messages say what to change and never repeat the value.</summary>
    internal string? Problem(JsonElement? value)
    {
        if (value is not { } given || given.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return Required ? "is required" : null;
        if (given.ValueKind != JsonValueKind.String)
            return "must be a string";
        if (TextOf(given) is not { } text)
            return "must be valid Unicode text";
        return ProblemOf(text);
    }

    private string? ProblemOf(string text)
    {
        if (string.IsNullOrWhiteSpace(text))
            return Required ? "must not be empty" : Allowed is null ? null : OneOf;
        if (text.Contains('\0'))
            return "must not contain the character U+0000";
        if (text.Length > (MaxLength ?? DefaultMaxLength))
            return $"must have at most {MaxLength ?? DefaultMaxLength} characters; it has {text.Length}";
        return Allowed is null || Allowed.Contains(text) ? null : OneOf;
    }

    private string OneOf => $"must be one of: {string.Join(", ", Allowed!)}";

    /// <summary>The text of a JSON string, or null where an escape in it is half of a surrogate pair.</summary>
    internal static string? TextOf(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
