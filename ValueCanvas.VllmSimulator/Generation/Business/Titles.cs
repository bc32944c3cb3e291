using System.Text.RegularExpressions;

namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>A title of a few words.</summary>
internal static partial class Titles
{
    private const int MaxLength = 60;

    public static string Of(BusinessProfile profile, string description)
    {
        if (profile.FirstWords is { Length: > 0 } words)
            return Shortened(words);
        var venture = profile.Venture;
        if (venture is null && profile.Offers.Count > 0)
            venture = Bare(profile.Offers[0]);
        if (venture is null)
            return Host.Match(description) is { Success: true } host ? Shortened(host.Groups[1].Value) : "Business idea";

        var title = venture;
        if (profile is { VentureHasPlace: true, Place: { } place })
        {
            title = $"{venture} {place}";
        }
        else if (profile.Name is null && profile.Customers.Count > 0 && !Lexicon.IsPeople(venture)
            && venture.Length + profile.Customers[0].Length < 50)
        {
            title = $"{venture} for {profile.Customers[0]}";
        }
        else if (profile.Name is null && profile.Topics.Count > 0 && profile.Offers.Count == 0 && !venture.Contains(' '))
        {
            title = $"{venture} for {profile.Topics[0]}";
        }
        else if (profile is { Name: null, Place: { } elsewhere } && !venture.Contains(elsewhere, StringComparison.Ordinal))
        {
            title = $"{venture} {elsewhere}";
        }

        if (title.Length > MaxLength)
            title = venture;
        return profile.Name is { } name && name.Length + title.Length + 2 <= MaxLength ? $"{name}: {title}" : Shortened(title);
    }

    private static string Bare(string phrase) => phrase.StartsWith("a ", StringComparison.Ordinal) ? phrase[2..]
        : phrase.StartsWith("an ", StringComparison.Ordinal) ? phrase[3..] : phrase;

    private static string Shortened(string text)
    {
        if (text.Length > MaxLength)
            text = text[..(text.LastIndexOf(' ', MaxLength) is > 0 and var space ? space : MaxLength)];
        if (text.Length > 0 && char.IsHighSurrogate(text[^1]))
            text = text[..^1];
        return text.Length == 0 ? "Business idea" : char.ToUpperInvariant(text[0]) + text[1..];
    }

    [GeneratedRegex(@"(?:://|www\.)(?:www\.)?([a-z0-9][a-z0-9.-]{2,60})", RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 100)]
    private static partial Regex Host { get; }
}
