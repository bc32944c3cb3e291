namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>
/// What a description says about a business, each part a phrase that can stand inside a sentence; what it does not say is null or empty.
/// </summary>
internal sealed class BusinessProfile
{
    /// <summary>A proper name, as in "Lingua is a language school".</summary>
    public string? Name { get; set; }

    /// <summary>What kind of thing it is, without an article: "bakery", "mobile app".</summary>
    public string? Venture { get; set; }

    /// <summary>Whether the place was said of the venture itself.</summary>
    public bool VentureHasPlace { get; set; }

    /// <summary>What it gives, with an article where the text has one: "sourdough bread", "an app".</summary>
    public List<string> Offers { get; } = [];

    /// <summary>People and organisations, in the plural.</summary>
    public List<string> Customers { get; } = [];

    /// <summary>Things and fields that are talked about besides: "sailing" in "a school for sailing".</summary>
    public List<string> Topics { get; } = [];

    /// <summary>A name or region with its preposition: "near Bologna".</summary>
    public string? Place { get; set; }

    /// <summary>What customers come to do, a verb in its base form first: "cut food waste".</summary>
    public string? Activity { get; set; }

    /// <summary>How it gets to customers: "delivery by bicycle".</summary>
    public string? Delivery { get; set; }

    /// <summary>A channel: "a mobile app".</summary>
    public string? Channel { get; set; }

    /// <summary>All lower-case words, for finding the kind of business.</summary>
    public required IReadOnlyList<string> Words { get; init; }

    /// <summary>A few words for a text that could not be read as English.</summary>
    public string? FirstWords { get; set; }

    public string Title { get; set; } = "Business idea";
}
