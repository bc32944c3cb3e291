using System.Buffers.Text;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>
/// The bytes of an answer's body. With the last of them the connection goes back to its pool; dropped before that, it is closed at once, which
/// is what frees a model server's slot.
/// </summary>
internal sealed class Http1Body : Stream
{
    private const int LongestLine = 16 * 1024;

    private readonly bool _chunked;
    private readonly bool _untilClosed;
    private readonly bool _close;
    private Http1Connection? _connection; // null: the body is at its end
    private long _left; // of the body, or of the chunk
    private bool _behindChunk;
    private bool _inTrailers;

    public Http1Body(Http1Connection connection, Http1Framing framing)
    {
        (_connection, _chunked, _left) = (connection, framing.IsChunked, framing.Length ?? 0);
        _untilClosed = !framing.IsChunked && framing.Length is null;
        _close = framing.Close || _untilClosed;
        if (framing.Length == 0)
        {
            Finish();
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_connection is not { } connection || buffer.IsEmpty)
        {
            return 0;
        }

        try
        {
            return await (_chunked ? ReadChunksAsync(connection, buffer, cancellationToken) : ReadPlainAsync(connection, buffer, cancellationToken));
        }
        catch (SocketException e)
        {
            throw new IOException("The connection broke.", e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _connection?.Dispose();
        _connection = null;
        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadPlainAsync(Http1Connection connection, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var target = _untilClosed || _left > buffer.Length ? buffer : buffer[..(int)_left];
        var read = connection.Received.IsEmpty ? await connection.ReceiveAsync(target, cancellationToken) : connection.Take(target.Span);
        if (_untilClosed)
        {
            if (read == 0)
            {
                Finish();
            }

            return read;
        }

        if (read == 0)
        {
            throw Cut();
        }

        _left -= read;
        if (_left == 0)
        {
            Finish();
        }

        return read;
    }

    /// <summary>What has come of all chunks, or waits for some.</summary>
    private async ValueTask<int> ReadChunksAsync(Http1Connection connection, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = 0;
        while (true)
        {
            if (_left > 0 && read < buffer.Length && !connection.Received.IsEmpty)
            {
                var target = buffer.Span[read..];
                var taken = connection.Take(_left < target.Length ? target[..(int)_left] : target);
                (read, _left) = (read + taken, _left - taken);
            }
            else if (_left == 0 && TryNextChunk(connection))
            {
                if (_connection is null)
                {
                    return read;
                }
            }
            else if (read > 0)
            {
                return read;
            }
            else if (!await connection.ReceiveAsync(cancellationToken))
            {
                throw Cut();
            }
        }
    }

    /// <summary>Reads the lines between chunks, and those behind the last one. False: not all of it is there yet.</summary>
    private bool TryNextChunk(Http1Connection connection)
    {
        while (true)
        {
            var line = connection.Received;
            var end = line.IndexOf((byte)'\n');
            if (end < 0)
            {
                return line.Length <= LongestLine ? false : throw Malformed();
            }

            line = line[..end].TrimEnd((byte)'\r');
            connection.Consume(end + 1);
            if (_behindChunk)
            {
                _behindChunk = line.IsEmpty ? false : throw Malformed();
                continue;
            }

            if (_inTrailers)
            {
                if (line.IsEmpty)
                {
                    Finish();
                    return true;
                }

                continue;
            }

            _left = Size(line);
            (_inTrailers, _behindChunk) = (_left == 0, _left > 0);
            if (_left > 0)
            {
                return true;
            }
        }
    }

    private static long Size(ReadOnlySpan<byte> line)
    {
        var extension = line.IndexOf((byte)';');
        var digits = (extension < 0 ? line : line[..extension]).TrimEnd(" \t"u8);
        return digits.Length is > 0 and < 16 && Utf8Parser.TryParse(digits, out long size, out var read, 'x') && read == digits.Length && size >= 0
            ? size : throw Malformed();
    }

    private void Finish()
    {
        var connection = _connection!;
        _connection = null;
        if (_close)
        {
            connection.Dispose();
        }
        else
        {
            connection.Release();
        }
    }

    private static HttpIOException Cut() => new(HttpRequestError.ResponseEnded, "The connection was closed before the answer's end.");

    private static HttpIOException Malformed() => new(HttpRequestError.InvalidResponse, "The answer's chunks are malformed.");
}
