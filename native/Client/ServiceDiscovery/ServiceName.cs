namespace Aspire.Client;

/// <summary>What an address like <c>https+http://_endpoint.name</c> asks for.</summary>
/// <param name="Schemes">In order of preference, at least one.</param>
/// <param name="Endpoint">Null when none is named.</param>
/// <param name="Service">The name to look up.</param>
internal readonly record struct ServiceName(string[] Schemes, string? Endpoint, string Service)
{
    public static ServiceName Of(Uri address)
    {
        var host = address.Host;
        var dot = host.IndexOf('.', StringComparison.Ordinal);
        var namesEndpoint = host.StartsWith('_') && dot > 1 && !host.EndsWith('.');
        return new ServiceName(
            address.Scheme.Split('+'),
            namesEndpoint ? host[1..dot] : null,
            namesEndpoint ? host[(dot + 1)..] : host);
    }
}
