namespace ValueCanvas.Api.ProviderKeys;

/// <summary>A tenant's own key of a provider, open.</summary>
internal sealed record ProviderKey(string Provider, string Secret)
{
    public override string ToString() => Provider;
}
