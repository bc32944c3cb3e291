using System.Collections.Frozen;
using ValueCanvas.VllmSimulator.Generation.Business;

namespace ValueCanvas.VllmSimulator.Generation.Canvases;

/// <summary>
/// What is known about a kind of business: how to notice it, what it sells to whom where a description is silent, and sentences per
/// block. The files under Sentences hold it: head lines <c>key: value</c>, then each block's key followed by its sentences.
/// </summary>
internal sealed class CanvasKind
{
    private static readonly FrozenDictionary<string, CanvasKind> Known = Load();
    private static readonly FrozenDictionary<string, CanvasKind> ByKeyword = Known.Values
        .SelectMany(kind => kind.Keywords, (kind, word) => (kind, word)).DistinctBy(pair => pair.word)
        .ToFrozenDictionary(pair => pair.word, pair => pair.kind);

    private readonly Dictionary<string, string[]> _sentences = [];

    private CanvasKind(string text)
    {
        var block = "";
        var lines = new List<string>();
        foreach (var line in text.Split('\n').Select(line => line.TrimEnd('\r')).Append("end"))
        {
            if (line.Split(": ") is [var key, var value] && char.IsLower(line[0]))
            {
                Head[key] = value;
            }
            else if (line.Length > 0 && line.All(char.IsAsciiLetterLower))
            {
                if (block.Length > 0)
                    _sentences[block] = [.. lines];
                (block, lines) = (line, []);
            }
            else if (line.Length > 0)
            {
                lines.Add(line);
            }
        }
    }

    public static CanvasKind Generic => Known["generic"];

    public static IEnumerable<string> Blocks => Generic._sentences.Keys;

    private Dictionary<string, string> Head { get; } = [];

    /// <summary>What it sells, as a phrase inside a sentence.</summary>
    public string Offer => Head["offer"];

    /// <summary>What it sells about a field, with <c>{field}</c>; null where the field itself is no part of it.</summary>
    public string? OfferOf => Head.GetValueOrDefault("offerof");

    /// <summary>Whether customers pay nothing; sentences that begin with <c>$</c> are not for it.</summary>
    public bool IsFree => Head.ContainsKey("free");

    /// <summary>What it sells where a description says what is carried; null for those who carry nothing.</summary>
    public string? Carries => Head.GetValueOrDefault("carries");

    /// <summary>Whether what it sells is made of materials.</summary>
    public bool HasWares => Head.ContainsKey("wares");

    public string Customers => Head["customers"];

    private string[] Keywords => Head.GetValueOrDefault("keywords")?.Split(' ') ?? [];

    public IReadOnlyList<string> Sentences(string block) => _sentences.GetValueOrDefault(block) ?? [];

    /// <summary>By what the business is, then by its other words, then by its industry.</summary>
    public static CanvasKind Of(BusinessProfile profile, string? industry)
    {
        var venture = profile.Venture?.ToLowerInvariant().Split(' ') ?? [];
        var customers = profile.Customers.SelectMany(phrase => phrase.Split(' '));
        return Find(venture.Reverse()) ?? Find(profile.Words.Except(customers))
            ?? Find(industry?.ToLowerInvariant().Split(' ', '-', '/', ',') ?? [])
            ?? Generic;
    }

    private static CanvasKind? Find(IEnumerable<string> words)
    {
        foreach (var word in words)
        {
            if (ByKeyword.TryGetValue(word, out var kind))
                return kind;
        }
        return null;
    }

    private static FrozenDictionary<string, CanvasKind> Load()
    {
        var kinds = new Dictionary<string, CanvasKind>();
        var assembly = typeof(CanvasKind).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Order(StringComparer.Ordinal))
        {
            if (resource.Split('.') is not [.., "Sentences", var name, "txt"])
                continue;
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            kinds[name] = new CanvasKind(reader.ReadToEnd());
        }
        return kinds.ToFrozenDictionary();
    }
}
