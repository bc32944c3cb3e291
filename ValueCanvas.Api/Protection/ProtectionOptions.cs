namespace ValueCanvas.Api.Protection;

/// <summary>Configuration section <c>Protection</c>.</summary>
internal sealed class ProtectionOptions
{
    public const string Section = "Protection";

    /// <summary>Addresses (<c>10.0.0.7</c>) or networks (<c>10.0.0.0/8</c>, <c>fd00::/8</c>) of proxies whose X-Forwarded-For and -Proto
    /// are believed. Nobody else's are.</summary>
    public IList<string> KnownProxies { get; set; } = [];

    /// <summary>Networks from which operators may act; none: from everywhere.</summary>
    public IList<string> AdminNetworks { get; set; } = [];

    /// <summary>Origins (<c>https://app.example.com</c>) whose pages may call the API; a page of the API's own origin always may.</summary>
    public IList<string> AllowedOrigins { get; set; } = [];

    /// <summary>Why the options cannot be used; null where they can.</summary>
    public string? Problem() =>
        Wrong(nameof(KnownProxies), KnownProxies, text => NetworkSet.TryParse(text, out _), "an address or a network such as 10.0.0.0/8")
        ?? Wrong(nameof(AdminNetworks), AdminNetworks, text => NetworkSet.TryParse(
            text, out _), "an address or a network such as 10.0.0.0/8")
        ?? Wrong(nameof(AllowedOrigins), AllowedOrigins, IsOrigin, "an origin such as https://app.example.com, with no path and no *");

    // As browsers write it, or it would never match: lower case, no default port.
    private static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
        && uri.GetLeftPart(UriPartial.Authority) == text && uri.Host.Length > 0 && !text.Contains('*');

    private static string? Wrong(string name, IList<string> values, Predicate<string> fits, string what)
    {
        var index = values.ToList().FindIndex(value => !fits(value));
        return index < 0 ? null : $"{Section}:{name}:{index} must be {what}.";
    }
}
