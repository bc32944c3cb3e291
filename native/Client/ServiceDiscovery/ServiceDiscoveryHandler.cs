namespace Aspire.Client;

/// <summary>Sends a request for a service's name to one of its addresses; the request keeps its own address for the caller.</summary>
internal sealed class ServiceDiscoveryHandler(ConfiguredServices services) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var asked = request.RequestUri;
        if (asked is { IsAbsoluteUri: true })
            request.RequestUri = services.Resolve(ServiceName.Of(asked)) is { } address ? Join(asked, address) : PassThrough(asked);

        try
        {
            return await base.SendAsync(request, cancellationToken);
        }
        finally
        {
            request.RequestUri = asked;
        }
    }

    private static Uri Join(Uri asked, ServiceAddress address)
    {
        var result = new UriBuilder(asked) { Host = address.Host };
        if (address.Scheme is not null)
            result.Scheme = address.Scheme;
        else
            result.Scheme = ServiceName.Of(asked).Schemes[0];

        if (address.Port > 0)
            result.Port = address.Port;

        if (address.Path.Length > 1)
            result.Path = $"{address.Path.TrimEnd('/')}/{asked.AbsolutePath.TrimStart('/')}";

        return result.Uri;
    }

    /// <summary>Not configured: DNS decides, without the endpoint's name and with the first of several schemes.</summary>
    private static Uri PassThrough(Uri asked)
    {
        var name = ServiceName.Of(asked);
        return name.Endpoint is null && name.Schemes.Length == 1
            ? asked
            : new UriBuilder(asked) { Scheme = name.Schemes[0], Host = name.Service }.Uri;
    }
}
