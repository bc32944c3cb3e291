namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>Section <c>Accounts</c>: what concerns signing in by others.</summary>
internal sealed class AccountOptions
{
    public const string Section = "Accounts";

    /// <summary>
    /// The address by which browsers reach this service, <c>https://api.example.com</c>; without it, that of the request.
    /// </summary>
    public Uri? PublicUrl { get; set; }

    /// <summary>Providers by the name that stands in the path.</summary>
    public Dictionary<string, ProviderOptions> OpenIdConnect { get; set; } = [];
}

/// <summary>An OpenID Connect provider.</summary>
internal sealed class ProviderOptions
{
    /// <summary>The issuer, under which <c>/.well-known/openid-configuration</c> is found.</summary>
    public Uri? Authority { get; set; }

    public string ClientId { get; set; } = "";

    /// <summary>None for a public client.</summary>
    public string? ClientSecret { get; set; }

    /// <summary>What is asked for.</summary>
    public string Scopes { get; set; } = "openid email profile";

    /// <summary>What people call the provider; without it, its name here.</summary>
    public string? DisplayName { get; set; }

    /// <summary>Over the network only HTTPS; plain HTTP to this machine itself, for development.</summary>
    public static bool IsSafe(Uri? address) => address is { IsAbsoluteUri: true, Fragment: "" }
        && (address.Scheme == Uri.UriSchemeHttps || (address.Scheme == Uri.UriSchemeHttp && address.IsLoopback));
}
