using System.Net;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Turns a configured endpoint into the servers behind it: those that service discovery's configuration lists for the host, else
/// itself; and of each of them the addresses that its host is known to have.</summary>
internal static class EndpointAddresses
{
    public static IEnumerable<ServerAddress> Resolve(IConfiguration configuration, string endpoint, HostAddresses hosts) =>
        Listed(configuration, new Uri(endpoint)).SelectMany(server => Split(server, hosts));

    private static IEnumerable<ServerAddress> Listed(IConfiguration configuration, Uri uri)
    {
        var listed = uri.IsDefaultPort
            ? configuration.GetSection($"services:{uri.Host}:{uri.Scheme}").GetChildren().Select(c => c.Value).OfType<string>().ToArray()
            : [];
        if (listed.Length == 0)
            yield return new ServerAddress(uri.Authority, Trim(uri));

        for (var i = 0; i < listed.Length; i++)
        {
            var text = listed[i].Contains("://", StringComparison.Ordinal) ? listed[i] : $"{uri.Scheme}://{listed[i]}";
            if (!Uri.TryCreate(text, UriKind.Absolute, out var address))
                throw new InvalidOperationException($"services:{uri.Host}:{uri.Scheme}:{i} must be a URL or host:port.");

            yield return new ServerAddress(listed.Length == 1 ? uri.Host : $"{uri.Host}#{i}", Trim(new Uri(address, uri.AbsolutePath)));
        }
    }

    private static IEnumerable<ServerAddress> Split(ServerAddress server, HostAddresses hosts) =>
        hosts.Of(server.Uri.IdnHost) is { Length: > 0 } addresses
            ? addresses.Select(address =>
                new ServerAddress($"{server.Name}#{address}", server.Uri, new IPEndPoint(address, server.Uri.Port)))
            : [server];

    private static Uri Trim(Uri uri) => new(uri.GetLeftPart(UriPartial.Path).TrimEnd('/'));
}

/// <summary>One server: the name it is known by, its base address, and where to connect to if its host is several servers.</summary>
internal sealed record ServerAddress(string Name, Uri Uri, IPEndPoint? EndPoint = null);
