using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.ProviderKeys;

/// <summary>
/// Gives requests to the inference proxy the keys of the tenant that they are for, beside the secret by which the proxy believes them.
/// </summary>
internal sealed class ProviderKeyHandler(KnownProviderKeys keys) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Headers.NonValidated.TryGetValues(InferenceHeaders.Tenant, out var named)
            && Guid.TryParse(named.ToString(), out var tenant))
        {
            foreach (var key in await keys.OfAsync(tenant, cancellationToken))
                request.Headers.TryAddWithoutValidation(InferenceHeaders.ProviderKeyPrefix + key.Provider, key.Secret);
        }

        return await base.SendAsync(request, cancellationToken);
    }
}
