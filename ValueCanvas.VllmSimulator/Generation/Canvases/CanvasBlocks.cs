using System.Collections.Frozen;

namespace ValueCanvas.VllmSimulator.Generation.Canvases;

/// <summary>The blocks of the value proposition, business model and lean canvases, found by property name in any spelling.</summary>
internal static class CanvasBlocks
{
    private static readonly (string Alias, string Block)[] Aliases =
    [
        ("jobs", "customerjobs"), ("customerjob", "customerjobs"), ("jobstobedone", "customerjobs"), ("pain", "pains"),
        ("customerpains", "pains"), ("gain", "gains"), ("customergains", "gains"), ("products", "productsandservices"),
        ("services", "productsandservices"), ("productsservices", "productsandservices"), ("painreliever", "painrelievers"),
        ("gaincreator", "gaincreators"), ("segments", "customersegments"), ("customers", "customersegments"),
        ("targetcustomers", "customersegments"), ("customersegment", "customersegments"), ("customerprofile", "customersegments"),
        ("valueproposition", "valuepropositions"), ("valuemap", "valuepropositions"), ("channel", "channels"),
        ("relationships", "customerrelationships"), ("revenues", "revenuestreams"), ("revenue", "revenuestreams"),
        ("resources", "keyresources"), ("activities", "keyactivities"), ("partners", "keypartners"), ("keypartnerships", "keypartners"),
        ("partnerships", "keypartners"), ("costs", "coststructure"), ("problems", "problem"), ("alternatives", "existingalternatives"),
        ("solutions", "solution"), ("uvp", "uniquevalueproposition"), ("uniquevaluepropositions", "uniquevalueproposition"),
        ("concept", "highlevelconcept"), ("earlyadopter", "earlyadopters"), ("metrics", "keymetrics"),
        ("unfairadvantages", "unfairadvantage"),
    ];

    private static readonly FrozenDictionary<string, string> Keys = CanvasKind.Blocks.Select(block => (Alias: block, Block: block))
        .Concat(Aliases).ToFrozenDictionary(pair => pair.Alias, pair => pair.Block);

    private static readonly FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> ByName =
        Keys.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>The block that a property of this name holds; null when it is none.</summary>
    public static string? KeyOf(string name)
    {
        if (name.Length is 0 or > 64)
            return null;

        Span<char> letters = stackalloc char[name.Length];
        var count = 0;
        foreach (var c in name)
        {
            if (char.IsLetter(c))
                letters[count++] = char.ToLowerInvariant(c);
        }
        return ByName.TryGetValue(letters[..count], out var key) ? key : null;
    }
}
