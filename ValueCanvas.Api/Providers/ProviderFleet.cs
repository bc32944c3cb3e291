using System.Text.Json;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Providers;

/// <summary>
/// What the inference proxy knows of the model servers. Whoever asks within half a second shares one question, so that however many look,
/// the proxy notices nothing. With several proxies it is the view of the one that answered: each has breakers of its own.
/// </summary>
internal sealed class ProviderFleet(IHttpClientFactory clients, IOptions<InferenceOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private Task<IReadOnlyList<ProviderState>>? _asked;
    private long _askedAt;

    /// <exception cref="InferenceException">The proxy does not say.</exception>
    public Task<IReadOnlyList<ProviderState>> ReadAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_asked is null || (_asked.IsCompleted && time.GetElapsedTime(_askedAt) >= Fresh))
            {
                _askedAt = time.GetTimestamp();
                _asked = AskAsync();
            }

            return _asked.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Something was changed there: who asks next asks anew.</summary>
    public void Forget()
    {
        lock (_gate)
            _asked = null;
    }

    private async Task<IReadOnlyList<ProviderState>> AskAsync()
    {
        using var bound = new CancellationTokenSource(options.Value.HealthTimeout, time);
        try
        {
            var states = await clients.CreateClient(InferenceClient.HttpClientName)
                .GetFromJsonAsync("providers", ProxyContext.Default.ProviderStates, bound.Token);
            return states?.Providers ?? throw new JsonException();
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or OperationCanceledException or IOException)
        {
            throw new InferenceException(
                InferenceFailure.Unavailable, "The inference proxy does not say how the model servers are. Try again shortly.", exception);
        }
    }
}
