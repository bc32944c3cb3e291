using System.Buffers;
using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>The body of a streamed answer, read as OpenAI's chunks while Anthropic's events come in. A stream that breaks off, or holds
/// what is no event, breaks here as well: its reader sees no <c>[DONE]</c>.</summary>
internal sealed class AnthropicEventStream(Stream source, AnthropicChunks chunks, bool native) : Stream
{
    private const int LargestEvent = 8 * 1024 * 1024;

    private readonly ArrayBufferWriter<byte> _output = new(1024);
    private byte[] _input = new byte[8 * 1024];
    private int _filled;
    private int _taken;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_taken == _output.WrittenCount)
        {
            _output.ResetWrittenCount();
            _taken = 0;
            if (chunks.IsOver)
                return 0;

            if (_filled == _input.Length)
                Grow();

            var read = await source.ReadAsync(_input.AsMemory(_filled), cancellationToken);
            if (read == 0)
                return 0;

            _filled += read;
            Translate();
        }

        var length = Math.Min(buffer.Length, _output.WrittenCount - _taken);
        _output.WrittenMemory.Slice(_taken, length).CopyTo(buffer);
        _taken += length;
        return length;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            source.Dispose();

        base.Dispose(disposing);
    }

    // Each event carries its JSON in one data line, and its type also inside of it: the other lines need not be read.
    private void Translate()
    {
        var start = 0;
        while (!chunks.IsOver && _input.AsSpan(start, _filled - start).IndexOf((byte)'\n') is var end and >= 0)
        {
            var line = _input.AsMemory(start, end);
            start += end + 1;
            if (line.Span.StartsWith("data:"u8))
            {
                try
                {
                    Translate(line["data:".Length..].TrimEnd("\r"u8));
                }
                catch (JsonException e)
                {
                    throw new IOException("The provider's stream holds what is no event.", e);
                }
            }
        }

        _input.AsSpan(start, _filled - start).CopyTo(_input);
        _filled -= start;
    }

    private void Translate(ReadOnlyMemory<byte> data)
    {
        if (!native)
        {
            chunks.Translate(data, _output);
            return;
        }

        _output.Write(AnthropicExchange.NativeField);
        _output.Write(data.Span);
        _output.Write("\n"u8);
        var before = _output.WrittenCount;
        chunks.Translate(data, _output);
        if (_output.WrittenCount == before)
            _output.Write("\n"u8);
    }

    private void Grow()
    {
        if (_input.Length >= LargestEvent)
            throw new IOException($"The provider's stream holds an event of more than {LargestEvent} bytes.");

        Array.Resize(ref _input, _input.Length * 2);
    }
}
