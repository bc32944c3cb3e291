using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Worker.Webhooks;

/// <summary>
/// One attempt over HTTP. The address comes from a tenant, so nothing of ours is reached with it: the connection goes only to addresses
/// that <see cref="WebhookNetworks"/> admits, as they are at that moment; no redirect is followed, no proxy, cookie or trace context used,
/// and of the answer its head is read.
/// </summary>
internal sealed class WebhookSender : IDisposable
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly HttpMessageInvoker _http;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;

    public WebhookSender(IOptions<WebhookOptions> options, WebhookNetworks networks, TimeProvider time)
    {
        _timeout = options.Value.Timeout;
        _time = time;
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            ActivityHeadersPropagator = null,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint, networks, cancellationToken),
            ConnectTimeout = options.Value.Timeout,
            MaxConnectionsPerServer = options.Value.PerEndpoint,
            MaxResponseDrainSize = 4096,
            MaxResponseHeadersLength = 16,
            MeterFactory = new Unheard(),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20),
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            ResponseDrainTimeout = TimeSpan.FromSeconds(1),
            UseCookies = false,
            UseProxy = false,
        });
    }

    /// <exception cref="OperationCanceledException">The caller cancelled; whether the endpoint has heard of it is not known.</exception>
    public async Task<WebhookAnswer> SendAsync(ClaimedDelivery delivery, IReadOnlyList<byte[]> keys, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(_timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            using var request = ToRequest(delivery, keys);
            using var response = await _http.SendAsync(request, either.Token);
            return new WebhookAnswer(
                (int)response.StatusCode,
                response.IsSuccessStatusCode ? null : "http_status",
                response.Headers.RetryAfter is { } after ? after.Delta ?? (after.Date - _time.GetUtcNow()) : null);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new WebhookAnswer(null, "timeout");
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or UriFormatException)
        {
            return new WebhookAnswer(null, CodeOf(failure));
        }
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage ToRequest(ClaimedDelivery delivery, IReadOnlyList<byte[]> keys)
    {
        var body = Encoding.UTF8.GetBytes(delivery.Payload);
        var id = delivery.Id.ToString();
        var timestamp = _time.GetUtcNow().ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(delivery.Url)) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = Json;
        request.Headers.TryAddWithoutValidation("User-Agent", "ValueCanvas-Webhooks/1");
        request.Headers.TryAddWithoutValidation("webhook-id", id);
        request.Headers.TryAddWithoutValidation("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation("webhook-signature", WebhookSignature.Sign(keys, id, timestamp, body));
        return request;
    }

    // Judged is what is connected to, not what the name meant at some other time.
    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint target, WebhookNetworks networks, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(target.Host, out var literal)
            ? [literal]
            : await Dns.GetHostAddressesAsync(target.Host, cancellationToken);
        var admitted = Array.FindAll(addresses, networks.Admits);
        if (admitted.Length == 0)
            throw new AddressRefusedException();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(admitted, target.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string CodeOf(Exception failure) => failure switch
    {
        HttpRequestException { InnerException: AddressRefusedException } => "address_refused",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "tls",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }
            or UriFormatException => "unreachable",
        _ => "broken_off",
    };

    private sealed class AddressRefusedException() : IOException("The address is none that may be delivered to.");

    /// <summary>HTTP's own metrics name each host, of which tenants have as many as they like: they go to nobody.</summary>
    private sealed class Unheard : IMeterFactory
    {
        private readonly Meter _meter = new("ValueCanvas.Unheard");

        public Meter Create(MeterOptions options) => _meter;

        public void Dispose() => _meter.Dispose();
    }
}
