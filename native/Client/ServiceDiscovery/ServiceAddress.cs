namespace Aspire.Client;

/// <summary>One configured address of a service: a URI, or <c>host[:port]</c>, which serves whatever scheme is asked for.</summary>
/// <param name="Scheme">Null for <c>host[:port]</c>.</param>
/// <param name="Host">Name or address; IPv6 in brackets.</param>
/// <param name="Port">0 when none is given.</param>
/// <param name="Path">A path that precedes the request's; "/" or empty for none.</param>
internal sealed record ServiceAddress(string? Scheme, string Host, int Port, string Path)
{
    /// <summary>Null when the text is neither a URI nor <c>host[:port]</c>.</summary>
    public static ServiceAddress? Parse(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
            return null;

        var hasScheme = text.Contains("://", StringComparison.Ordinal);
        if (!Uri.TryCreate(hasScheme ? text : $"any://{text}", UriKind.Absolute, out var uri) || uri.Host.Length == 0)
            return null;

        return new ServiceAddress(hasScheme ? uri.Scheme : null, uri.Host, Math.Max(uri.Port, 0), hasScheme ? uri.AbsolutePath : "");
    }
}
