using System.Net.Sockets;

namespace ValueCanvas.ProxyBench.Upstream;

/// <summary>Sends the events of all streams at their time: one thread, one tick a millisecond, one slot for each millisecond of the
/// gap.</summary>
internal sealed class PacedStreams : IDisposable
{
    private readonly List<PacedStream>[] _slots = [.. Enumerable.Range(0, Answers.EventGapMilliseconds).Select(_ =>
        new List<PacedStream>())];
    private readonly byte[] _frame = new byte[Answers.LargestEvent];
    private readonly Ticker _ticker;
    private long _now;

    public PacedStreams() => _ticker = new Ticker(TimeSpan.FromMilliseconds(1), OnTick);

    /// <summary>The first event goes out now, the others each a gap after the one before.</summary>
    public PacedStream Start(Socket socket, bool verbose)
    {
        var now = Volatile.Read(ref _now);
        var stream = new PacedStream(socket, verbose, now + Answers.EventGapMilliseconds);
        Span<byte> frame = stackalloc byte[Answers.LargestEvent];
        stream.Send(frame);
        var slot = _slots[now % _slots.Length];
        lock (slot)
            slot.Add(stream);

        return stream;
    }

    public void Dispose() => _ticker.Dispose();

    private void OnTick(long tick)
    {
        Volatile.Write(ref _now, tick);
        var slot = _slots[tick % _slots.Length];
        lock (slot)
        {
            for (var i = slot.Count - 1; i >= 0; i--)
            {
                if (slot[i].Due <= tick && !slot[i].Send(_frame))
                {
                    slot[i] = slot[^1];
                    slot.RemoveAt(slot.Count - 1);
                }
            }
        }
    }
}

internal sealed class PacedStream(Socket socket, bool verbose, long due)
{
    private volatile bool _abandoned;
    private int _sent;

    /// <summary>No event goes out before this tick.</summary>
    public long Due { get; } = due;

    public void Abandon() => _abandoned = true;

    /// <summary>Sends the next event; false when there is none after it.</summary>
    public bool Send(Span<byte> frame)
    {
        if (_abandoned)
            return false;

        try
        {
            var length = Answers.WriteEvent(_sent, verbose, frame);
            socket.Send(frame[..length]);
            return ++_sent < Answers.Events;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }
}
