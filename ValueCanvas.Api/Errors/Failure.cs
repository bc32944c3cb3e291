using System.Globalization;
using Microsoft.AspNetCore.WebUtilities;

namespace ValueCanvas.Api.Errors;

/// <summary>
/// A failure as it is told over HTTP, whatever the format: a stable code for programs, a detail for people that says what to do, and,
/// where the same request may succeed later, when.
/// </summary>
internal sealed record Failure(
    int Status, string Code, string Detail, IReadOnlyDictionary<string, string[]>? Errors = null, TimeSpan? RetryAfter = null)
{
    /// <summary>The client went away before there was an answer; nginx's number, nobody reads it but logs and spans.</summary>
    public const int ClientClosedRequest = 499;

    /// <summary>The type in OpenAI's error object; null: by the status.</summary>
    public string? OpenAiType { get; init; }

    public string Title => ReasonPhrases.GetReasonPhrase(Status) is { Length: > 0 } phrase ? phrase : "Error";

    public string? RetryAfterSeconds =>
        RetryAfter is { } wait ? Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture) : null;
}
