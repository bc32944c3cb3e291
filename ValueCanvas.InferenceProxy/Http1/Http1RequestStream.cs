using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>A request on its way out: the head, and behind it as much of the body as fits one buffer, so that most requests are one send.</summary>
internal sealed class Http1RequestStream(Http1Connection connection) : Stream
{
    private const int FirstBuffer = 4 * 1024;
    private const int LargestSend = 64 * 1024;

    // What would end a header's line, or the string that a server makes of it.
    private static readonly SearchValues<char> Forbidden = SearchValues.Create("\r\n\0");

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
    private int _length;

    /// <summary>The server may have seen something of the request.</summary>
    public bool HasSent { get; private set; }

    /// <summary>The server has closed the connection in the middle: it may have said why.</summary>
    public bool IsBroken { get; private set; }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public void WriteHead(HttpRequestMessage request)
    {
        Write(request.Method.Method);
        Write(" "u8);
        Write(request.RequestUri!.PathAndQuery);
        Write(" HTTP/1.1\r\nHost: "u8);
        Write(request.Headers.Host ?? request.RequestUri.Authority);
        Write("\r\n"u8);
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            if (!name.Equals("Host", StringComparison.OrdinalIgnoreCase))
            {
                WriteHeader(name, values.ToString());
            }
        }

        if (request.Content is { } content)
        {
            // First, because asking for it adds it to the headers.
            var length = content.Headers.ContentLength ?? throw new NotSupportedException("A body of unknown length is never sent.");
            foreach (var (name, values) in content.Headers.NonValidated)
            {
                if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
                {
                    WriteHeader(name, values.ToString());
                }
            }

            WriteHeader("Content-Length", length.ToString(CultureInfo.InvariantCulture));
        }

        Write("\r\n"u8);
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var fits = Math.Min(buffer.Length, LargestSend - _length);
        if (fits > 0)
        {
            Write(buffer.Span[..fits]);
        }

        if (fits < buffer.Length)
        {
            await FlushAsync(cancellationToken);
            await SendAsync(buffer[fits..], cancellationToken);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        await SendAsync(_buffer.AsMemory(0, _length), cancellationToken);
        _length = 0;
    }

    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        buffer.CopyTo(Room(buffer.Length));
        _length += buffer.Length;
    }

    protected override void Dispose(bool disposing)
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }

        base.Dispose(disposing);
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (IsBroken || bytes.IsEmpty)
        {
            return;
        }

        try
        {
            await connection.SendAsync(bytes, cancellationToken);
            HasSent = true;
        }
        catch (SocketException) when (HasSent)
        {
            IsBroken = true;
        }
    }

    private void WriteHeader(string name, string value)
    {
        if (!name.AsSpan().ContainsAny(Forbidden) && !value.AsSpan().ContainsAny(Forbidden))
        {
            Write(name);
            Write(": "u8);
            Write(value);
            Write("\r\n"u8);
        }
    }

    private void Write(string text) => _length += Encoding.UTF8.GetBytes(text, Room(Encoding.UTF8.GetMaxByteCount(text.Length)));

    private Span<byte> Room(int bytes)
    {
        if (_buffer.Length - _length < bytes)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + bytes));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        return _buffer.AsSpan(_length);
    }
}
