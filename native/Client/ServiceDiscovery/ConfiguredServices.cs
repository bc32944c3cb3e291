using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Primitives;

namespace Aspire.Client;

/// <summary>The addresses under <c>services</c> in the configuration, read again when it changes. Takes turns among several.</summary>
internal sealed class ConfiguredServices : IDisposable
{
    private const string Section = "services";
    private readonly IDisposable _changes;
    private volatile Dictionary<string, Dictionary<string, Addresses>> _services;

    public ConfiguredServices(IConfiguration configuration)
    {
        _services = Read(configuration);
        _changes = ChangeToken.OnChange(configuration.GetReloadToken, () => _services = Read(configuration));
    }

    public void Dispose() => _changes.Dispose();

    /// <summary>The next address of the service in the most preferred scheme that it has; null when it is not configured.</summary>
    /// <exception cref="KeyNotFoundException">An address of the endpoint cannot be read.</exception>
    public ServiceAddress? Resolve(ServiceName name)
    {
        if (!_services.TryGetValue(name.Service, out var endpoints))
            return null;

        if (name.Endpoint is not null)
            return endpoints.GetValueOrDefault(name.Endpoint)?.Next(name.Schemes);

        // Without a name, an endpoint called "default" comes first, then those called like the schemes.
        if (endpoints.TryGetValue("default", out var addresses))
            return addresses.Next(name.Schemes);

        foreach (var scheme in name.Schemes)
        {
            if (endpoints.TryGetValue(scheme, out addresses))
                return addresses.Next(name.Schemes);
        }

        return null;
    }

    private static Dictionary<string, Dictionary<string, Addresses>> Read(IConfiguration configuration)
        => configuration.GetSection(Section).GetChildren().ToDictionary(
            service => service.Key,
            service => service.GetChildren().ToDictionary(endpoint => endpoint.Key, ReadEndpoint, StringComparer.OrdinalIgnoreCase),
            StringComparer.OrdinalIgnoreCase);

    private static Addresses ReadEndpoint(IConfigurationSection endpoint)
    {
        var values = string.IsNullOrWhiteSpace(endpoint.Value) ? endpoint.GetChildren().ToList() : [endpoint];
        var addresses = new List<ServiceAddress>(values.Count);
        foreach (var value in values)
        {
            if (ServiceAddress.Parse(value.Value) is not { } address)
                return new Addresses([], $"'{value.Path}' is not an address; give a URI such as http://host:port, or host:port.");

            addresses.Add(address);
        }

        return new Addresses([.. addresses], Error: null);
    }

    private sealed record Addresses(ServiceAddress[] All, string? Error)
    {
        private uint _turn;

        public ServiceAddress? Next(string[] schemes)
        {
            if (Error is not null)
                throw new KeyNotFoundException(Error);

            var best = Array.Find(schemes, scheme => Array.Exists(All, address => Is(address, scheme)));
            var usable = Array.FindAll(All, address => address.Scheme is null || Is(address, best));
            return usable.Length == 0 ? null : usable[Interlocked.Increment(ref _turn) % (uint)usable.Length];
        }

        private static bool Is(ServiceAddress address, string? scheme)
            => scheme is not null && string.Equals(address.Scheme, scheme, StringComparison.OrdinalIgnoreCase);
    }
}
