using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>The providers of the configuration.</summary>
internal sealed class Providers(IOptions<AccountOptions> options, IHttpClientFactory clients, TimeProvider time)
{
    private readonly Dictionary<string, Provider> _providers = options.Value.OpenIdConnect.ToDictionary(
        pair => pair.Key, pair => new Provider(pair.Key, pair.Value, clients, time), StringComparer.Ordinal);

    public IEnumerable<Provider> All => _providers.Values.OrderBy(provider => provider.Name, StringComparer.Ordinal);

    /// <exception cref="RequestException">404.</exception>
    public Provider Find(string name) => _providers.GetValueOrDefault(name)
        ?? throw RequestException.NotFound("There is no such provider. GET /api/auth/oidc lists those that there are.");
}
