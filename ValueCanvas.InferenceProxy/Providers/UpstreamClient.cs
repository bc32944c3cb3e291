using System.Net.Sockets;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Providers.Anthropic;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>The one HTTP client to the replicas. Bytes pass as they are, but for
/// Anthropic's, which are translated: no proxy, redirects, decompression, cookies or retries of its own.</summary>
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
        ConnectCallback = ConnectAsync,
    });

    public Task<HttpResponseMessage> SendAsync(ReplicaRequest request, CancellationToken cancellationToken)
    {
        var sending = _invoker.SendAsync(request, cancellationToken);
        return request.Exchange is { } exchange ? TranslateAsync(sending, exchange, cancellationToken) : sending;
    }

    public void Dispose() => _invoker.Dispose();

    private static async Task<HttpResponseMessage> TranslateAsync(
        Task<HttpResponseMessage> sending, AnthropicExchange exchange, CancellationToken cancellationToken)
    {
        var response = await sending;
        try
        {
            return await exchange.TranslateAsync(response, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            // What TLS holds back, a socket cannot tell.
            return context.InitialRequestMessage.RequestUri?.Scheme == Uri.UriSchemeHttps
                ? new NetworkStream(socket, ownsSocket: true)
                : new UpstreamConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
