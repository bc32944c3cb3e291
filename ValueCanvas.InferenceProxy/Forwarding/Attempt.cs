using System.Diagnostics;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// One request to one replica. <see cref="StartAsync"/> goes as far as the first content of a stream, or the first bytes of any other
/// answer: until then the client has seen nothing and another replica can take over. <see cref="ReadAsync"/> brings the rest. Each wait has
/// its limit; the client's leaving ends all of them. What was read and may go out stands at the start of the buffer: <see cref="Ready"/>.
/// </summary>
internal sealed class Attempt : IDisposable
{
    private readonly Placement _placement;
    private readonly TimeLimits _limits;
    private readonly AttemptClock _clock;
    private readonly AnswerBuffer _buffer;
    private bool _isDrained; // the last read took all that there was
    private bool _isWaiting; // the limit for the next read runs
    private ReplicaRequest? _request;
    private HttpResponseMessage? _response;
    private Stream? _body;
    private Usage? _usage;

    public Attempt(Placement placement, TimeLimits limits, bool streamed, Activity? span, TimeProvider time, CancellationToken client)
    {
        (_placement, _limits, Span) = (placement, limits, span);
        Link = streamed ? new UpstreamConnection.Link() : null;
        _clock = new AttemptClock(limits, streamed, placement.Replica, time, client);
        _buffer = new AnswerBuffer(Judge);
    }

    public Replica Replica => _placement.Replica;

    public Activity? Span { get; }

    /// <inheritdoc cref="AttemptClock.Client"/>
    public CancellationToken Client => _clock.Client;

    public HttpResponseMessage Response => _response!;

    public bool IsEventStream { get; private set; }

    public StreamJudge Judge { get; } = new();

    /// <summary>A piece of an event too large to be judged is under way.</summary>
    public bool IsMidEvent => _buffer.IsMidEvent;

    /// <summary>From the start to the first content.</summary>
    public TimeSpan FirstContent { get; private set; }

    /// <summary>Since the start.</summary>
    public TimeSpan Elapsed => _clock.Elapsed;

    /// <summary>The first content took so long that the breaker shall know.</summary>
    public bool IsSlow => FirstContent > _limits.Slow;

    /// <summary>The connection of a stream, once it is known.</summary>
    public UpstreamConnection.Link? Link { get; }

    /// <summary>Measures the time between the chunks of a stream; null when nobody wants to know.</summary>
    public ChunkGaps? Gaps { get; init; }

    /// <summary>What the server says that the answer costs, as far as it has come; null where it says nothing, or says it too late to see:
    /// an answer that is no stream is looked at where it is whole in the buffer.</summary>
    public Usage? Usage => IsEventStream ? Judge.Usage : _usage;

    public ReadOnlyMemory<byte> Ready => _buffer.Ready;

    /// <summary>What has gone out, where another replica could go on with it.</summary>
    public AnswerSoFar? Answer { get; private set; }

    /// <summary>
    /// What was added to the request is taken out of the answer; and where the answer is kept, a server's error is held back.
    /// </summary>
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
        Judge is { HoldsErrors: true, Failure: AttemptFailure.ErrorEvent } && StreamJudge.EventEnd(_buffer.Rest) is var end and > 0
            ? _buffer.Rest[..end].ToArray()
            : null;

    /// <inheritdoc cref="AttemptClock.Abandon"/>
    public void Abandon(AttemptFailure why) => _clock.Abandon(why);

    public async Task<AttemptFailure> StartAsync(UpstreamClient upstream, ReplicaRequest request)
    {
        _request = request;
        try
        {
            _response = await upstream.SendAsync(request, _clock.Token);
            request.Content = null; // a large body is not kept for as long as its answer takes
            var status = (int)_response.StatusCode;
            Span?.SetTag(GenAi.StatusCode, status);
            IsEventStream = _response.IsSuccessStatusCode && ForwardedHeaders.IsEventStream(_response);
            _clock.AwaitFirstToken();
            _body = await _response.Content.ReadAsStreamAsync(_clock.Token);
            var failure = await (IsEventStream ? FirstEventsAsync() : FirstBytesAsync());
            FirstContent = Elapsed;
            Gaps?.First();
            _clock.Begin();
            failure = Declined(status) is var declined and not AttemptFailure.None ? declined
                : failure != AttemptFailure.None ? failure
                : AttemptFailures.OfStatus(status, status == 503 && _response.Headers.RetryAfter is not null);
            if (failure == AttemptFailure.None)
                _placement.Began();

            return failure;
        }
        catch (OperationCanceledException) when (!_clock.Token.IsCancellationRequested)
        {
            return AttemptFailure.Connect; // the HTTP client's own limit
        }
        catch (OperationCanceledException)
        {
            return _clock.Unless(_clock.Late);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return _clock.Unless(AttemptFailures.OfException(e, hasBegun: !_buffer.Held.IsEmpty));
        }
    }

    /// <summary>
    /// Where it can be told that <see cref="ReadAsync"/> would wait: the wait, to be awaited before it. How it ends, that one says.
    /// </summary>
    public bool MustWait(out ValueTask<int> wait)
    {
        wait = default;
        if (Link?.Connection is not { CanWait: true } connection || !_isDrained)
            return false;

        _clock.AwaitNext();
        wait = connection.WaitAsync(_clock.Token);
        return _isWaiting = true;
    }

    /// <summary>Drops what was <see cref="Ready"/> and reads on. Zero bytes without a failure are the end.</summary>
    public async ValueTask<(int Read, AttemptFailure Failure)> ReadAsync()
    {
        _buffer.Drop();
        try
        {
            if (!_isWaiting)
                _clock.AwaitNext();

            _isWaiting = false;
            var free = _buffer.Free;
            var read = await _body!.ReadAsync(free, _clock.Token);
            _clock.Pause();
            _isDrained = read < free.Length;
            _buffer.Add(read);
            if (read > 0 && IsEventStream)
                Gaps?.Next();

            Sort(end: read == 0);
            return (read, AttemptFailure.None);
        }
        catch (OperationCanceledException)
        {
            return (0, _clock.Unless(_clock.Late));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (0, _clock.Unless(AttemptFailure.Cut));
        }
    }

    public void Dispose()
    {
        _response?.Dispose();
        _request?.Dispose();
        _clock.Dispose();
        Span?.Dispose();
        _buffer.Dispose();
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
            var read = await _body!.ReadAsync(_buffer.Free, _clock.Token);
            _buffer.Add(read);
            Sort(end: read == 0);
            if (Judge.HasContent || IsMidEvent || Judge.IsClientFault)
            {
                // A failure behind content is told by the relay.
                return AttemptFailure.None;
            }

            if (Judge.Failure != AttemptFailure.None)
                return Judge.Failure;

            if (read == 0)
                return !_buffer.Held.IsEmpty && !Judge.IsDone ? AttemptFailure.Cut : AttemptFailure.EmptyStream;

            if (Judge.IsDone)
                return AttemptFailure.EmptyStream;
        }
    }

    /// <summary>An answer that fits the buffer is read whole, so that one that breaks can still be had from another replica.</summary>
    private async Task<AttemptFailure> FirstBytesAsync()
    {
        while (!_buffer.Free.IsEmpty)
        {
            var read = await _body!.ReadAsync(_buffer.Free, _clock.Token);
            if (read == 0)
            {
                _usage = Forwarding.Usage.Find(_buffer.Held);
                break;
            }

            _buffer.Add(read);
        }

        _buffer.Release();
        return AttemptFailure.None;
    }

    private void Sort(bool end)
    {
        if (IsEventStream)
            _buffer.Sort(end);
        else
            _buffer.Release();
    }
}
