using System.Buffers;
using System.Diagnostics;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One request to one replica. <see cref="StartAsync"/> goes as far as the first bytes of the answer: until then the client has seen nothing
/// and another replica can take over. <see cref="ReadAsync"/> brings the rest. Each wait has its limit; the client's leaving ends all of them.
/// </summary>
internal sealed class Attempt : IDisposable
{
    private const int BufferSize = 16 * 1024;

    private readonly CancellationTokenSource _cancel;
    private readonly CancellationTokenRegistration _clientGone;
    private readonly Placement _placement;
    private readonly InferenceOptions _limits;
    private readonly bool _streamed;
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private HttpRequestMessage? _request;
    private HttpResponseMessage? _response;
    private Stream? _body;

    public Attempt(Placement placement, InferenceOptions limits, bool streamed, Activity? span, TimeProvider time, CancellationToken client)
    {
        (_placement, Span, _limits, _streamed, Client) = (placement, span, limits, streamed, client);
        _cancel = new CancellationTokenSource(streamed ? limits.FirstByteTimeout : limits.TotalTimeout, time);
        _clientGone = client.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancel);
    }

    public Replica Replica => _placement.Replica;

    public Activity? Span { get; }

    /// <summary>Ends with the client's leaving, not with the attempt's limits.</summary>
    public CancellationToken Client { get; }

    public HttpResponseMessage Response => _response!;

    /// <summary>Bytes read and not yet consumed stand at the start of this buffer.</summary>
    public Memory<byte> Buffer => _buffer;

    /// <summary>How many bytes <see cref="StartAsync"/> has read.</summary>
    public int FirstBytes { get; private set; }

    public bool IsEventStream { get; private set; }

    public async Task<AttemptFailure> StartAsync(UpstreamClient upstream, HttpRequestMessage request)
    {
        _request = request;
        try
        {
            _response = await upstream.SendAsync(request, _cancel.Token);
            Span?.SetTag(GenAi.StatusCode, (int)_response.StatusCode);
            IsEventStream = _response.IsSuccessStatusCode && _response.Content.Headers.ContentType?.MediaType == "text/event-stream";
            _body = await _response.Content.ReadAsStreamAsync(_cancel.Token);
            FirstBytes = await _body.ReadAsync(_buffer, _cancel.Token);
            Pause();
            _placement.Began();
            // A stream that ends before its first event is a broken one.
            return IsEventStream && FirstBytes == 0 ? AttemptFailure.Reset : AttemptFailure.None;
        }
        catch (OperationCanceledException)
        {
            return Unless(AttemptFailure.Timeout);
        }
        catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError)
        {
            return Unless(AttemptFailure.Connect);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return Unless(AttemptFailure.Reset);
        }
    }

    /// <summary>Reads on, behind <paramref name="kept"/> bytes that are not consumed yet. Zero bytes without a failure are the end.</summary>
    public async ValueTask<(int Read, AttemptFailure Failure)> ReadAsync(int kept)
    {
        try
        {
            if (_streamed)
            {
                _cancel.CancelAfter(_limits.IdleTimeout);
            }

            var read = await _body!.ReadAsync(_buffer.AsMemory(kept), _cancel.Token);
            Pause();
            return (read, AttemptFailure.None);
        }
        catch (OperationCanceledException)
        {
            return (0, Unless(AttemptFailure.Stall));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (0, Unless(AttemptFailure.Cut));
        }
    }

    public void Dispose()
    {
        _clientGone.Dispose();
        _response?.Dispose();
        _request?.Dispose();
        _cancel.Dispose();
        Span?.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _placement.Dispose();
    }

    // The client may take its time to accept what was read: only the replica is on the clock.
    private void Pause()
    {
        if (_streamed)
        {
            _cancel.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    private AttemptFailure Unless(AttemptFailure failure) => Client.IsCancellationRequested ? AttemptFailure.ClientGone : failure;
}
