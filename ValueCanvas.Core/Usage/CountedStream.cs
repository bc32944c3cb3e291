using ValueCanvas.Core.Usage.Metering;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage;

/// <summary>
/// An answer whose end waits for its row: the last event of a stream, and of any other answer what came last, go out when the row is safe.
/// So whoever has got a whole answer that costs something has it in the books, whatever happens to this process.
/// </summary>
internal sealed class CountedStream(Stream inner, CallEntry entry) : HeldBackStream(inner)
{
    private readonly StreamEnd? _end = entry.IsStream ? new StreamEnd() : null;

    protected override async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        do
        {
            int read;
            try
            {
                read = await ReadInnerAsync(cancellationToken);
            }
            catch (Exception exception)
            {
                entry.Break(exception is OperationCanceledException ? CallEnd.Cancelled : CallEnd.Failed);
                throw;
            }

            if (read == 0)
            {
                await entry.CloseAsync(_end is null or { HasCome: true });
                (HasEnded, Ready) = (true, Held);
                return;
            }

            var waiting = Waiting(Bytes.Slice(Held, read));
            Held += read;
            Ready = Math.Max(0, Held - waiting);
        }
        while (Ready == 0);
    }

    protected override void Dispose(bool disposing)
    {
        var leaves = disposing && !IsDisposed;
        // First: whoever else reads this answer, and pays for it, is known only then.
        base.Dispose(disposing);
        if (leaves)
            entry.Leave();
    }

    /// <summary>How many of the bytes read so far must wait for the row.</summary>
    private int Waiting(ReadOnlySpan<byte> read)
    {
        if (_end is not null)
        {
            entry.Passed(read);
            return _end.Note(read);
        }

        // A small answer goes out in one piece.
        return Held + read.Length < BufferSize ? int.MaxValue : 1;
    }
}
