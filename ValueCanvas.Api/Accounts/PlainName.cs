using System.Globalization;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts;

/// <summary>Names that people give to themselves and to tenants: any script, one line, nothing invisible.</summary>
internal static class PlainName
{
    private const int MaxLength = 100;

    public static void Validate(string field, string? name, bool required, RequestErrors errors)
    {
        if (name is null)
        {
            if (required)
                errors.Add(field, "is required");
        }
        else if (string.IsNullOrWhiteSpace(name) || name.Length > MaxLength || name.EnumerateRunes().Any(rune => Rune(rune)))
        {
            errors.Add(field, $"must have between 1 and {MaxLength} characters in one line");
        }

        static bool Rune(System.Text.Rune rune) => System.Text.Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned;
    }
}
