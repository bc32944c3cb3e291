namespace ValueCanvas.Core.ProviderKeys;

/// <summary>A tenant's own key of a provider, open.</summary>
public sealed record ProviderKey(string Provider, string Secret)
{
    /// <summary>Without the key.</summary>
    public override string ToString() => Provider;
}
