using System.Buffers;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>One connection to a model server, with what was received on it and not read yet. Used by one request at a time.</summary>
internal sealed class Http1Connection(Http1Pool pool, Socket socket, long opened) : IDisposable
{
    private const int BufferSize = 8 * 1024;

    // The largest head of an answer, or line between its chunks.
    private const int LargestBuffer = 64 * 1024;

    private byte[]? _buffer;
    private int _start;
    private int _end;
    private ValueTask<int>? _pending;
    private bool _receiving;

    /// <summary>When it was opened, by the pool's clock.</summary>
    public long Opened { get; } = opened;

    /// <summary>Since when it is idle.</summary>
    public long Idle { get; set; }

    public ReadOnlySpan<byte> Received => _buffer.AsSpan(_start, _end - _start);

    /// <summary>The server has closed the idle connection, or sent what nobody asked for.</summary>
    public bool IsStale => socket.Poll(0, SelectMode.SelectRead);

    /// <summary>Listens for the answer before the request is sent. False: the server has closed the connection, or speaks unasked.</summary>
    public bool TryListen(CancellationToken cancellationToken)
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferSize);
        var receive = socket.ReceiveAsync(_buffer.AsMemory(), SocketFlags.None, cancellationToken);
        _pending = receive;
        return !receive.IsCompleted;
    }

    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        socket.SendAsync(bytes, SocketFlags.None, cancellationToken);

    public void Consume(int bytes) => _start += bytes;

    /// <summary>Receives more behind what is there. False: the server has closed the connection.</summary>
    public async ValueTask<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        if (_pending is not { } receive)
        {
            MakeRoom();
            receive = socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None, cancellationToken);
        }

        (_pending, _receiving) = (null, true);
        try
        {
            var read = await receive;
            _end += read;
            return read > 0;
        }
        finally
        {
            _receiving = false;
        }
    }

    /// <summary>Receives past the buffer, which must be empty.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> target, CancellationToken cancellationToken) =>
        socket.ReceiveAsync(target, SocketFlags.None, cancellationToken);

    /// <summary>Takes of what is there.</summary>
    public int Take(Span<byte> target)
    {
        var taken = Math.Min(target.Length, _end - _start);
        _buffer.AsSpan(_start, taken).CopyTo(target);
        _start += taken;
        return taken;
    }

    /// <summary>The exchange is over: the next one may use the connection, unless something came behind the answer.</summary>
    public void Release()
    {
        if (_start != _end || _pending is not null)
        {
            Dispose();
            return;
        }

        ReturnBuffer();
        pool.Return(this);
    }

    public void Dispose()
    {
        socket.Dispose();
        if (_pending is null && !_receiving)
        {
            ReturnBuffer(); // else a receive may write into it until it has found the socket closed
        }
    }

    private void ReturnBuffer()
    {
        if (_buffer is { } buffer)
        {
            (_buffer, _start, _end) = (null, 0, 0);
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void MakeRoom()
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferSize);
        if (_start == _end)
        {
            (_start, _end) = (0, 0);
        }
        else if (_end == _buffer.Length)
        {
            var held = _end - _start;
            if (held > LargestBuffer / 2)
            {
                throw new HttpIOException(HttpRequestError.InvalidResponse, "The answer has a line without an end.");
            }

            var target = held > _buffer.Length / 2 ? ArrayPool<byte>.Shared.Rent(_buffer.Length * 2) : _buffer;
            _buffer.AsSpan(_start, held).CopyTo(target);
            if (target != _buffer)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
                _buffer = target;
            }

            (_start, _end) = (0, held);
        }
    }
}
