using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>
/// A connection to a replica on which a stream's reader can wait for more. To read where nothing has come yet costs the HTTP client two
/// state machines; those of many streams, of which each collection finds some alive, are what its pauses are made of. So the reader waits
/// here, which allocates nothing, and then reads what is there.
/// </summary>
internal sealed class UpstreamConnection(Socket socket) : NetworkStream(socket, ownsSocket: true)
{
    private Link? _link;
    private bool _isMidStream;

    // The end of an event and of the chunk that it came in: behind it another chunk must come, if only the last one.
    private static ReadOnlySpan<byte> EndOfEvent => "\n\n\r\n"u8;

    /// <summary>More must come, and the client has nothing left in its buffer: it has passed on what came before.</summary>
    public bool CanWait => _isMidStream;

    /// <summary>Completes when something has come, or the connection has ended.</summary>
    public ValueTask<int> WaitAsync(CancellationToken cancellationToken)
    {
        _isMidStream = false;
        return Socket.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var link = Link.Current;
        _isMidStream = false;
        if (_link != link)
        {
            _link?.Connection = null; // its request is over
            _link = link;
            link?.Connection = this;
        }

        return base.WriteAsync(buffer, cancellationToken);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var reading = base.ReadAsync(buffer, cancellationToken);
        return _link is null ? reading
            : reading.IsCompletedSuccessfully ? new ValueTask<int>(Note(buffer, reading.Result))
            : NoteAsync(buffer, reading);
    }

    private async ValueTask<int> NoteAsync(Memory<byte> buffer, ValueTask<int> reading) => Note(buffer, await reading);

    private int Note(Memory<byte> buffer, int read)
    {
        _isMidStream = buffer.Span[..read].EndsWith(EndOfEvent);
        return read;
    }

    /// <summary>Where a request learns the connection that it is written to: the HTTP client does not tell.</summary>
    public sealed class Link
    {
        [ThreadStatic]
        private static Link? t_current;

        /// <summary>The one whose request is written by this thread at this moment.</summary>
        public static Link? Current => t_current;

        public UpstreamConnection? Connection { get; set; }

        /// <summary>Writes the last bytes of a request to its end; the connection that gets them at once is the one.</summary>
        public Task WriteLastAsync(Stream stream, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            t_current = this;
            try
            {
                var writing = stream.WriteAsync(bytes, cancellationToken);
                return writing.IsCompletedSuccessfully ? stream.FlushAsync(cancellationToken) : writing.AsTask();
            }
            finally
            {
                t_current = null;
            }
        }
    }
}
