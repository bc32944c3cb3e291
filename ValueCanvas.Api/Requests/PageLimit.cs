using System.Globalization;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Requests;

/// <summary>How many items of a list a caller gets at once: the query parameter <c>limit</c>.</summary>
internal static class PageLimit
{
    private const int Default = 20;
    private const int Most = 100;

    public static int Read(string? text)
    {
        if (text is null)
            return Default;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= Most
            ? limit
            : throw RequestException.Invalid("limit", $"must be an integer between 1 and {Most}");
    }
}
