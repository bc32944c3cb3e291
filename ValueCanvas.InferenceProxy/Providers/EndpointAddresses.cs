namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Turns a configured endpoint into the addresses behind it: those that service discovery's configuration lists for the host, else itself.</summary>
internal static class EndpointAddresses
{
    public static IEnumerable<(string Name, Uri Address)> Resolve(IConfiguration configuration, string endpoint)
    {
        var uri = new Uri(endpoint);
        var listed = uri.IsDefaultPort
            ? configuration.GetSection($"services:{uri.Host}:{uri.Scheme}").GetChildren().Select(c => c.Value).OfType<string>().ToArray()
            : [];
        if (listed.Length == 0)
        {
            yield return (uri.Authority, Trim(uri));
        }

        for (var i = 0; i < listed.Length; i++)
        {
            var text = listed[i].Contains("://", StringComparison.Ordinal) ? listed[i] : $"{uri.Scheme}://{listed[i]}";
            if (!Uri.TryCreate(text, UriKind.Absolute, out var address))
            {
                throw new InvalidOperationException($"services:{uri.Host}:{uri.Scheme}:{i} must be a URL or host:port.");
            }

            yield return (listed.Length == 1 ? uri.Host : $"{uri.Host}#{i}", Trim(new Uri(address, uri.AbsolutePath)));
        }
    }

    private static Uri Trim(Uri uri) => new(uri.GetLeftPart(UriPartial.Path).TrimEnd('/'));
}
