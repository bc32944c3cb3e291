using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>An answer that is no event stream. One too long for the proxy to have read it before it passed it on tells its usage in its
/// last bytes.
/// </summary>
internal sealed class AnswerStream(Stream inner, CallMeter meter) : ReadOnlyStream
{
    private readonly AnswerTail? _tail = meter.HasUsage ? null : new AnswerTail();
    private bool _disposed;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        if (read > 0)
            _tail?.Note(buffer.Span[..read]);
        else if (!buffer.IsEmpty)
            End();
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private void End()
    {
        if (_tail?.Read() is { } usage)
            meter.Told(usage);
        meter.Ended(whole: true);
    }
}
