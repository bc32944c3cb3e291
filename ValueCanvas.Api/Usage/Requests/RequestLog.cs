using System.Threading.Channels;

namespace ValueCanvas.Api.Usage.Requests;

/// <summary>
/// Notes how every request ended, for <c>request_logs</c>. Monitoring, not a bill: it costs a request next to nothing, and where there are
/// more than can be written some are left out, and counted.
/// </summary>
internal sealed class RequestLog
{
    private const int Capacity = 10_000;

    private readonly Channel<RequestRow> _rows = Channel.CreateBounded<RequestRow>(
        new BoundedChannelOptions(Capacity) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private long _leftOut;

    /// <summary>How many were left out.</summary>
    public long LeftOut => Interlocked.Read(ref _leftOut);

    public ChannelReader<RequestRow> Rows => _rows.Reader;

    public void Note(RequestRow row)
    {
        if (!_rows.Writer.TryWrite(row))
            Interlocked.Increment(ref _leftOut);
    }
}
