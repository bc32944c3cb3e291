using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Callers;

/// <summary>A tenant's own keys of providers, as the request brings them: in a header for each, named after the provider. They are known to
/// this request alone, and go to their provider alone.</summary>
internal sealed class TenantKeys
{
    public const string HeaderPrefix = "x-valuecanvas-key-";

    private readonly Dictionary<string, Credential> _byProvider = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Null where there are none.</summary>
    public static TenantKeys? Of(IHeaderDictionary headers)
    {
        TenantKeys? keys = null;
        foreach (var (name, values) in headers)
        {
            if (name.StartsWith(HeaderPrefix, StringComparison.OrdinalIgnoreCase) && values is [{ Length: > 0 } secret])
            {
                (keys ??= new())._byProvider[name[HeaderPrefix.Length..]] = new Credential(
                    secret, TimeProvider.System) { IsTenants = true };
            }
        }

        return keys;
    }

    public Credential? Of(string provider) => _byProvider.GetValueOrDefault(provider);
}
