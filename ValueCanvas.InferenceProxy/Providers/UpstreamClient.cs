using Microsoft.Extensions.Options;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>The one HTTP client to the replicas. Bytes pass as they are: no proxy, redirects, decompression, cookies or retries of its own.</summary>
internal sealed class UpstreamClient(IOptions<InferenceOptions> options) : IDisposable
{
    private readonly HttpMessageInvoker _invoker = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = System.Net.DecompressionMethods.None,
        UseCookies = false,
        ConnectTimeout = options.Value.ConnectTimeout,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        // An answer that nobody wants any more is not read to its end: closing the connection is what frees the replica's slot.
        MaxResponseDrainSize = 0,
        ResponseDrainTimeout = TimeSpan.Zero,
        // The proxy writes the trace context itself: the span of an attempt is the client span.
        ActivityHeadersPropagator = null,
    });

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _invoker.SendAsync(request, cancellationToken);

    public void Dispose() => _invoker.Dispose();
}
