using System.Buffers;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>
/// Stands in for the body of a response whose writer speaks OpenAI's language, and sends on Anthropic's. A stream goes on with each write;
/// any other answer is kept, since its status and length may still change, and goes out with <see cref="CompleteAsync"/>.
/// </summary>
internal sealed class MessagesResponse : WriteOnlyStream
{
    private const int LargestAnswer = 32 * 1024 * 1024;
    private const string RequestId = "request-id";

    private readonly HttpResponse _response;
    private readonly Stream _client;
    private string _requestId;
    private readonly ArrayBufferWriter<byte> _input = new(1024); // an event's beginning, or all of an answer
    private readonly ArrayBufferWriter<byte> _output = new(1024);
    private MessagesEvents? _events;
    private bool _begun;

    public MessagesResponse(HttpResponse response, string requestId)
    {
        (_response, _client, _requestId) = (response, response.Body, requestId);
        response.Body = this;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_begun)
            Begin();

        if (_input.WrittenCount + buffer.Length > LargestAnswer)
            throw new IOException($"The model server's answer holds more than {LargestAnswer} bytes in one piece.");

        _input.Write(buffer.Span);
        if (_events is not null)
        {
            TranslateEvents(_events);
            await SendAsync(cancellationToken);
        }
    }

    /// <summary>Forgets an answer of which nothing has gone out: another one comes instead.</summary>
    public void Reset() => _input.ResetWrittenCount();

    /// <param name="counted">The answer is a count of tokens.</param>
    /// <param name="cancellationToken">Ends with the client.</param>
    public async Task CompleteAsync(bool counted, CancellationToken cancellationToken)
    {
        if (_events is not null)
        {
            _input.Write("\n\n"u8); // the last event may lack its empty line
            TranslateEvents(_events);
            _events.Finish();
            await SendAsync(cancellationToken);
            return;
        }

        Identify();
        var body = Translate(counted);
        _response.ContentType = "application/json";
        _response.ContentLength = body.Length;
        await _client.WriteAsync(body, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        _events is null ? Task.CompletedTask : _client.FlushAsync(cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _events?.Dispose();

        base.Dispose(disposing);
    }

    private void Begin()
    {
        _begun = true;
        var stream = _response.ContentType?.StartsWith("text/event-stream", StringComparison.Ordinal) == true;
        if (stream && _response.StatusCode == StatusCodes.Status200OK)
        {
            Identify();
            _events = new MessagesEvents(_output, _requestId);
            _response.ContentLength = null;
        }
    }

    /// <summary>By Anthropic's own name for the request where it has given one.</summary>
    private void Identify()
    {
        _requestId = _response.Headers.TryGetValue(RequestId, out var given) ? given.ToString() : _requestId;
        _response.Headers[RequestId] = _requestId;
    }

    // The latter is how a string that holds half of a surrogate pair is refused.
    private static bool IsMalformed(Exception exception) => exception is JsonException or InvalidOperationException;

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        if (_output.WrittenCount > 0)
        {
            await _client.WriteAsync(_output.WrittenMemory, cancellationToken);
            _output.ResetWrittenCount();
        }
    }

    private byte[] Translate(bool counted)
    {
        if (_response.StatusCode == StatusCodes.Status200OK)
        {
            try
            {
                return counted ? MessagesAnswer.TranslateCount(_input.WrittenMemory) : MessagesAnswer.Translate(_input.WrittenMemory);
            }
            catch (Exception e) when (IsMalformed(e))
            {
                var error = ProxyError.UpstreamFailed;
                _response.StatusCode = error.Status;
                return MessagesError.Translate(error.ToJson(), error.Status, _requestId);
            }
        }

        _response.StatusCode = MessagesError.StatusOf(_response.StatusCode);
        return MessagesError.Translate(_input.WrittenMemory, _response.StatusCode, _requestId);
    }

    private void TranslateEvents(MessagesEvents events)
    {
        var taken = 0;
        while (StreamJudge.EventEnd(_input.WrittenSpan[taken..]) is var length and > 0)
        {
            TranslateEvent(events, _input.WrittenMemory.Slice(taken, length));
            taken += length;
        }

        var rest = _input.WrittenSpan[taken..].ToArray();
        _input.ResetWrittenCount();
        _input.Write(rest);
    }

    private void TranslateEvent(MessagesEvents events, ReadOnlyMemory<byte> whole)
    {
        var (data, native) = (ReadOnlyMemory<byte>.Empty, ReadOnlyMemory<byte>.Empty);
        foreach (var range in whole.Span.Split((byte)'\n'))
        {
            var line = whole[range].TrimEnd("\r"u8);
            if (line.Span.StartsWith("data:"u8))
            {
                ReadOnlyMemory<byte> value = line["data:".Length..].TrimStart(" "u8);
                data = data.IsEmpty ? value : (byte[])[.. data.Span, (byte)'\n', .. value.Span];
            }
            else if (line.Span.StartsWith(AnthropicExchange.NativeField))
            {
                native = line[AnthropicExchange.NativeField.Length..].TrimStart(" "u8);
            }
            else if (line.Span.StartsWith(": keep-alive"u8) || line.Span.StartsWith(": ping"u8))
            {
                events.Ping();
            }
            else if (line.Span.StartsWith(":"u8))
            {
                _output.Write(line.Span);
                _output.Write("\n\n"u8);
            }
        }

        try
        {
            if (!native.IsEmpty)
                events.Pass(native);
            else if (!data.IsEmpty)
                events.Translate(data);
        }
        catch (Exception e) when (IsMalformed(e))
        {
            // Half of an event too large to be judged; that the stream broke there is told by the next one. Or half of a character.
        }
    }
}
