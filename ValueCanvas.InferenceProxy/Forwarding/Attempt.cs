using System.Buffers;
using System.Diagnostics;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One request to one replica. <see cref="StartAsync"/> goes as far as the first content of a stream, or the first bytes of any other answer:
/// until then the client has seen nothing and another replica can take over. <see cref="ReadAsync"/> brings the rest. Each wait has its limit;
/// the client's leaving ends all of them. What was read and may go out stands at the start of the buffer: <see cref="Ready"/>.
/// </summary>
internal sealed class Attempt : IDisposable
{
    private const int BufferSize = 16 * 1024;
    private const int LargestEvent = 1024 * 1024;

    private readonly CancellationTokenSource _cancel;
    private readonly CancellationTokenRegistration _clientGone;
    private readonly Placement _placement;
    private readonly ITimer _watch;
    private readonly TimeLimits _limits;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly bool _streamed;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private int _held;
    private int _ready;
    private AttemptFailure _late; // what it means when the limit now running ends
    private HttpRequestMessage? _request;
    private HttpResponseMessage? _response;
    private Stream? _body;
    private Usage? _usage;

    public Attempt(Placement placement, TimeLimits limits, bool streamed, Activity? span, TimeProvider time, CancellationToken client)
    {
        (_placement, Span, _limits, _streamed, _time, Client) = (placement, span, limits, streamed, time, client);
        _started = time.GetTimestamp();
        (var first, _late) = !streamed ? (limits.Total, AttemptFailure.TotalTimeout)
            : limits.FirstToken < limits.Headers ? (limits.FirstToken, AttemptFailure.FirstTokenTimeout)
            : (limits.Headers, AttemptFailure.HeadersTimeout);
        _cancel = new CancellationTokenSource(first, time);
        _clientGone = client.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancel);
        // A long answer has no status line for minutes, and neither has a frozen server: the health looks tell one from the other.
        _watch = time.CreateTimer(static attempt => ((Attempt)attempt!).GiveUpOnFrozen(), this, limits.Frozen, TimeSpan.FromSeconds(1));
    }

    public Replica Replica => _placement.Replica;

    public Activity? Span { get; }

    /// <summary>Ends with the client's leaving, not with the attempt's limits.</summary>
    public CancellationToken Client { get; }

    public HttpResponseMessage Response => _response!;

    public bool IsEventStream { get; private set; }

    public StreamJudge Judge { get; } = new();

    /// <summary>A piece of an event too large to be judged is under way.</summary>
    public bool IsMidEvent { get; private set; }

    /// <summary>From the start to the first content.</summary>
    public TimeSpan FirstContent { get; private set; }

    /// <summary>Since the start.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_started);

    /// <summary>The first content took so long that the breaker shall know.</summary>
    public bool IsSlow => FirstContent > _limits.Slow;

    /// <summary>Measures the time between the chunks of a stream; null when nobody wants to know.</summary>
    public ChunkGaps? Gaps { get; init; }

    /// <summary>What the server says that the answer costs, as far as it has come; null where it says nothing, or says it too late to see: an
    /// answer that is no stream is looked at where it is whole in the buffer.</summary>
    public Usage? Usage => IsEventStream ? Judge.Usage : _usage;

    public ReadOnlyMemory<byte> Ready => _buffer.AsMemory(0, _ready);

    /// <summary>What has gone out, where another replica could go on with it.</summary>
    public AnswerSoFar? Answer { get; private set; }

    /// <summary>What was added to the request is taken out of the answer; and where the answer is kept, a server's error is held back.</summary>
    public void Expect(StreamAdditions added, AnswerSoFar? answer)
    {
        Answer = answer;
        Judge.HoldsErrors = answer is not null;
        Judge.Filter = added == default && answer is null ? null : new EventFilter(added, answer);
    }

    /// <summary>Another replica can go on with the answer, which broke so.</summary>
    public bool CanGoOn(AttemptFailure failure) => failure.MovesOn() && !IsMidEvent && Answer is { CanGoOn: true };

    /// <summary>What has gone out, which then is the caller's to dispose of.</summary>
    public AnswerSoFar TakeAnswer()
    {
        var taken = Answer!;
        Answer = null;
        return taken;
    }

    /// <summary>The server's own error event where it was held back; null where there is none.</summary>
    public byte[]? HeldError() =>
        Judge is { HoldsErrors: true, Failure: AttemptFailure.ErrorEvent } && StreamJudge.EventEnd(_buffer.AsSpan(_ready, _held - _ready)) is var end and > 0
            ? _buffer.AsSpan(_ready, end).ToArray()
            : null;

    /// <summary>Ends what is under way, at once and for this reason.</summary>
    public void Abandon(AttemptFailure why)
    {
        _late = why;
        try
        {
            _cancel.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at the same time.
        }
    }

    public async Task<AttemptFailure> StartAsync(UpstreamClient upstream, HttpRequestMessage request)
    {
        _request = request;
        try
        {
            _response = await upstream.SendAsync(request, _cancel.Token);
            request.Content = null; // a large body is not kept for as long as its answer takes
            var status = (int)_response.StatusCode;
            Span?.SetTag(GenAi.StatusCode, status);
            IsEventStream = _response.IsSuccessStatusCode && _response.Content.Headers.ContentType?.MediaType == "text/event-stream";
            if (_streamed)
            {
                Limit(_limits.FirstToken - _time.GetElapsedTime(_started), AttemptFailure.FirstTokenTimeout);
            }

            _body = await _response.Content.ReadAsStreamAsync(_cancel.Token);
            var failure = await (IsEventStream ? FirstEventsAsync() : FirstBytesAsync());
            FirstContent = Elapsed;
            Gaps?.First();
            _watch.Dispose();
            Pause();
            failure = Declined(status) is var declined and not AttemptFailure.None ? declined
                : failure != AttemptFailure.None ? failure
                : AttemptFailures.OfStatus(status, status == 503 && _response.Headers.RetryAfter is not null);
            if (failure == AttemptFailure.None)
            {
                _placement.Began();
            }

            return failure;
        }
        catch (OperationCanceledException) when (!_cancel.IsCancellationRequested)
        {
            return AttemptFailure.Connect; // the HTTP client's own limit
        }
        catch (OperationCanceledException)
        {
            return Unless(_late);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.NameResolutionError)
        {
            return Unless(AttemptFailure.Dns);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            return Unless(AttemptFailure.Tls);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError)
        {
            return Unless(AttemptFailure.Connect);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return Unless(_held == 0 ? AttemptFailure.Reset : AttemptFailure.Cut);
        }
    }

    /// <summary>Drops what was <see cref="Ready"/> and reads on. Zero bytes without a failure are the end.</summary>
    public async ValueTask<(int Read, AttemptFailure Failure)> ReadAsync()
    {
        _buffer.AsSpan(_ready, _held - _ready).CopyTo(_buffer);
        (_held, _ready) = (_held - _ready, 0);
        try
        {
            var left = _limits.Total - _time.GetElapsedTime(_started);
            Limit(left < _limits.Idle ? left : _limits.Idle, left < _limits.Idle ? AttemptFailure.TotalTimeout : AttemptFailure.Stall);
            var read = await _body!.ReadAsync(_buffer.AsMemory(_held), _cancel.Token);
            Pause();
            _held += read;
            if (read > 0 && IsEventStream)
            {
                Gaps?.Next();
            }

            Sort(read == 0);
            return (read, AttemptFailure.None);
        }
        catch (OperationCanceledException)
        {
            return (0, Unless(_late));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (0, Unless(AttemptFailure.Cut));
        }
    }

    public void Dispose()
    {
        _watch.Dispose();
        _clientGone.Dispose();
        _response?.Dispose();
        _request?.Dispose();
        _cancel.Dispose();
        Span?.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        Answer?.Dispose();
        _placement.Dispose();
    }

    private AttemptFailure Declined(int status) =>
        !IsEventStream ? Declines.Of(status, Ready.Span)
        : Judge.ContentEvents == 0 && !IsMidEvent ? Declines.OfEvents(Ready.Span)
        : AttemptFailure.None;

    private async Task<AttemptFailure> FirstEventsAsync()
    {
        while (true)
        {
            var read = await _body!.ReadAsync(_buffer.AsMemory(_held), _cancel.Token);
            _held += read;
            Sort(read == 0);
            if (Judge.HasContent || IsMidEvent || Judge.IsClientFault)
            {
                // A failure behind content is told by the relay.
                return AttemptFailure.None;
            }

            if (Judge.Failure != AttemptFailure.None)
            {
                return Judge.Failure;
            }

            if (read == 0)
            {
                return _held > 0 && !Judge.IsDone ? AttemptFailure.Cut : AttemptFailure.EmptyStream;
            }

            if (Judge.IsDone)
            {
                return AttemptFailure.EmptyStream;
            }
        }
    }

    /// <summary>An answer that fits the buffer is read whole, so that one that breaks can still be had from another replica.</summary>
    private async Task<AttemptFailure> FirstBytesAsync()
    {
        while (_held < _buffer.Length)
        {
            var read = await _body!.ReadAsync(_buffer.AsMemory(_held), _cancel.Token);
            if (read == 0)
            {
                _usage = Forwarding.Usage.Find(_buffer.AsSpan(0, _held));
                break;
            }

            _held += read;
        }

        _ready = _held;
        return AttemptFailure.None;
    }

    /// <summary>Judges what has come and makes ready what may go out.</summary>
    private void Sort(bool end)
    {
        if (!IsEventStream)
        {
            _ready = _held;
            return;
        }

        if (IsMidEvent)
        {
            var tail = StreamJudge.EventEnd(_buffer.AsSpan(0, _held));
            (IsMidEvent, _ready) = (tail == 0, tail == 0 ? _held : tail);
        }

        if (!IsMidEvent)
        {
            var room = Judge.Filter is null || _buffer.Length - _held < EventFilter.Room ? 0 : EventFilter.Room;
            _buffer.AsSpan(_ready, _held - _ready).CopyTo(_buffer.AsSpan(_ready + room));
            _held += room;
            Pass(Judge.Read(_buffer.AsSpan(_ready, _held - _ready), room));
            if (end && _held > _ready && !Judge.IsStopped && Judge.ReadLast(_buffer.AsSpan(_ready, _held - _ready)) is { } left)
            {
                Pass((_held - _ready, left));
            }
        }

        if (_ready == 0 && _held == _buffer.Length && !Judge.IsStopped)
        {
            Grow();
        }
        else if (_held == _buffer.Length && !Judge.HasContent && Judge.Failure == AttemptFailure.None)
        {
            Grow(); // much has come and none of it is content
        }
    }

    /// <summary>Makes ready what is left of what was judged, and closes the gap behind it.</summary>
    private void Pass((int Read, int Left) judged)
    {
        var gap = judged.Read - judged.Left;
        _ready += judged.Left;
        if (gap > 0)
        {
            _buffer.AsSpan(_ready + gap, _held - _ready - gap).CopyTo(_buffer.AsSpan(_ready));
            _held -= gap;
        }
    }

    private void Grow()
    {
        if (_buffer.Length >= LargestEvent)
        {
            (IsMidEvent, _ready) = (true, _held);
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(0, _held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }

    private void GiveUpOnFrozen()
    {
        // A hosted provider is not looked at: that it is down says nothing but that another request failed.
        var state = Replica.State;
        if (state.Status == ReplicaStatus.Down && !Replica.Upstream.Kind.IsHosted && FirstContent == default
            && _time.GetUtcNow() - state.LastChange >= _limits.Frozen)
        {
            Abandon(_streamed ? _late : AttemptFailure.HeadersTimeout);
        }
    }

    private void Limit(TimeSpan limit, AttemptFailure late)
    {
        _late = late;
        _cancel.CancelAfter(limit > TimeSpan.Zero ? limit : TimeSpan.Zero);
    }

    // The client may take its time to accept what was read: only the replica is on the clock.
    private void Pause() => _cancel.CancelAfter(Timeout.InfiniteTimeSpan);

    private AttemptFailure Unless(AttemptFailure failure) => Client.IsCancellationRequested ? AttemptFailure.ClientGone : failure;
}
