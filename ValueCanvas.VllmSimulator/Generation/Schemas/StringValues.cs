using System.Globalization;
using System.Text;
using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation.Canvases;

namespace ValueCanvas.VllmSimulator.Generation.Schemas;

/// <summary>Texts of a document: by format, by pattern, for a block of a business canvas, or a sentence about the subject.</summary>
internal sealed class StringValues(Subject subject, ulong variant)
{
    private const int MaxLength = 100_000;
    private readonly Dictionary<string, List<string>> _blocks = [];
    private readonly Prose _prose = new(subject.Phrases, variant);

    public string Get(SchemaView view, Place place)
    {
        var least = view.Count("minLength", largest: true) ?? 0;
        var most = view.Count("maxLength", largest: false) ?? int.MaxValue;
        if (least > MaxLength)
            throw new UnsupportedSchemaException($"minLength is more than {MaxLength}.");
        if (least > most)
            throw new UnsupportedSchemaException("minLength is more than maxLength.");
        if (view.TryGet("pattern", out var pattern) && pattern.ValueKind == JsonValueKind.String)
            return PatternText.Of(pattern.GetString()!, least, most, place.Index);
        if (view.TryGet("format", out var format) && format.ValueKind == JsonValueKind.String
            && Formatted(format.GetString()!, place) is { } text)
        {
            return text;
        }

        return Fit(Free(place), least, most, place);
    }

    private string Free(Place place)
    {
        if (place.Block is { } block && !IsLabel(place.Name))
        {
            // One segment is a label; another block that is one string instead of a list takes several sentences.
            if (!place.InList && block == "customersegments")
                return subject.Draft.Segment;
            return CanvasBlocks.KeyOf(place.Name) is not null && !place.InList
                ? string.Join(' ', Enumerable.Range(0, 3).Select(i => Sentence(block, i)))
                : Sentence(block, place.Index);
        }
        if (Words(place.Name) == "title")
            return subject.Business.Title;
        var phrase = Bare(subject.Phrases.At(place.Index));
        return Words(place.Name) switch
        {
            "name" or "label" or "topic" or "subject" or "heading" or "keyword" or "tag" => Capital(phrase),
            "industry" or "sector" or "market" => Capital(subject.Industry),
            "email" => Email(place),
            "url" or "link" or "website" => Url(place),
            "city" or "location" or "place" when subject.Phrases.Places.Count > place.Index => subject.Phrases.Places[place.Index],
            "city" or "location" or "place" => Cities[(int)((variant + (ulong)place.Index) % (ulong)Cities.Length)],
            "country" => "Germany",
            "currency" => "EUR",
            "unit" => "celsius",
            "date" => Date(place).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            "id" => $"id-{variant % 9_000 + 1_000 + (ulong)place.Index}",
            "query" or "search" or "q" => string.Join(' ', subject.Phrases.All.Take(3).Select(Bare)),
            _ => _prose.Sentence(1 + place.Index + place.Name.Length),
        };
    }

    /// <summary>How many different sentences there are for a block.</summary>
    public int Available(string block) => Sentences(block).Count;

    private List<string> Sentences(string block)
    {
        if (!_blocks.TryGetValue(block, out var sentences))
            _blocks[block] = sentences = subject.Draft.Sentences(block, variant);
        return sentences;
    }

    private string Sentence(string block, int index)
    {
        var sentences = Sentences(block);
        return index < sentences.Count ? sentences[index] : _prose.Sentence(1 + index);
    }

    private static readonly string[] Cities = ["Berlin", "Paris", "Lisbon", "Vienna", "Oslo"];

    private string? Formatted(string format, Place place) => format switch
    {
        "date-time" => Date(place).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        "date" => Date(place).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        "time" => Date(place).ToString("HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        "duration" => $"P{1 + place.Index}D",
        "email" or "idn-email" => Email(place),
        "uri" or "url" or "iri" => Url(place),
        "uri-reference" or "iri-reference" => $"/{Slug(subject.Phrases.At(place.Index))}",
        "hostname" or "idn-hostname" => $"{Slug(subject.Phrases.At(place.Index))}.example.com",
        "ipv4" => $"192.0.2.{1 + place.Index % 250}",
        "ipv6" => $"2001:db8::{1 + place.Index:x}",
        "uuid" or "guid" => Uuid(place),
        "json-pointer" => $"/items/{place.Index}",
        "regex" => "^.+$",
        "byte" or "base64" => Convert.ToBase64String(Encoding.UTF8.GetBytes(subject.Phrases.At(place.Index))),
        _ => null,
    };

    private DateTime Date(Place place) => new DateTime(2026, 1, 1, 9, 0, 0, DateTimeKind.Utc).AddDays(variant % 300 + (ulong)place.Index);

    private string Email(Place place) => $"{Slug(subject.Phrases.At(place.Index))}@example.com";

    private string Url(Place place) => $"https://www.example.com/{Slug(subject.Phrases.At(place.Index))}";

    private string Uuid(Place place)
    {
        var high = BlockHash.Mix(variant, (ulong)place.Index + 1);
        var low = BlockHash.Mix(high, (ulong)place.Name.Length);
        return $"{high >> 32:x8}-{(high >> 16) & 0xFFFF:x4}-4{high & 0xFFF:x3}-a{(low >> 48) & 0xFFF:x3}-{low & 0xFFFFFFFFFFFF:x12}";
    }

    private string Fit(string text, int least, int most, Place place)
    {
        if (text.Length > most)
        {
            var cut = most > 0 ? text.LastIndexOf(' ', Math.Min(most, text.Length - 1)) : 0;
            text = (cut > most / 2 ? text[..cut] : text[..most]).TrimEnd(' ', ',', ';');
        }
        if (text.Length >= least)
            return text;

        var longer = new StringBuilder(text);
        for (var i = 0; longer.Length < least; i++)
            longer.Append(longer.Length == 0 ? "" : " ").Append(_prose.Sentence(i + 1 + place.Index));
        if (longer.Length > most)
            longer.Length = Math.Max(most, least);
        // No space at the end, where a trimming reader would find it too short.
        if (longer[^1] == ' ')
            longer[^1] = '.';
        return longer.ToString();
    }

    private static bool IsLabel(string name) =>
        Words(name) is "name" or "label" or "heading" or "id" or "url" or "email" or "date";

    private static string Words(string name)
    {
        var start = name.LastIndexOfAny(['_', '-', ' ']) + 1;
        for (var i = name.Length - 1; i > start; i--)
        {
            if (char.IsUpper(name[i]) && !char.IsUpper(name[i - 1]))
            {
                start = i;
                break;
            }
        }
        return name[start..].ToLowerInvariant();
    }

    private static string Bare(string phrase) => phrase.StartsWith("the ", StringComparison.Ordinal) ? phrase[4..] : phrase;

    private static string Slug(string phrase)
    {
        var slug = new string([.. Bare(phrase).ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-')]).Trim('-');
        return slug.Length == 0 ? "value" : slug;
    }

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
}
