using System.Buffers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// What was read of an answer and has not gone out yet. What may go out stands at its start: <see cref="Ready"/>; events are judged first,
/// and wait until they are whole.
/// </summary>
internal sealed class AnswerBuffer(StreamJudge judge) : IDisposable
{
    private const int Size = 16 * 1024;
    private const int LargestEvent = 1024 * 1024;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(Size);
    private int _held;
    private int _ready;

    public ReadOnlyMemory<byte> Ready => _bytes.AsMemory(0, _ready);

    /// <summary>Behind what is ready.</summary>
    public ReadOnlySpan<byte> Rest => _bytes.AsSpan(_ready, _held - _ready);

    /// <summary>All that is held.</summary>
    public ReadOnlySpan<byte> Held => _bytes.AsSpan(0, _held);

    /// <summary>Where the next bytes are read to; empty when the buffer is full.</summary>
    public Memory<byte> Free => _bytes.AsMemory(_held);

    /// <summary>A piece of an event too large to be judged is under way.</summary>
    public bool IsMidEvent { get; private set; }

    /// <summary>So many bytes were read to <see cref="Free"/>.</summary>
    public void Add(int read) => _held += read;

    /// <summary>What was ready has gone out.</summary>
    public void Drop()
    {
        Rest.CopyTo(_bytes);
        (_held, _ready) = (_held - _ready, 0);
    }

    /// <summary>Not a stream of events: everything may go out as it came.</summary>
    public void Release() => _ready = _held;

    /// <summary>Judges the events that have come and makes ready what may go out.</summary>
    public void Sort(bool end)
    {
        if (IsMidEvent)
        {
            var tail = StreamJudge.EventEnd(_bytes.AsSpan(0, _held));
            (IsMidEvent, _ready) = (tail == 0, tail == 0 ? _held : tail);
        }

        if (!IsMidEvent)
        {
            var room = judge.Filter is null || _bytes.Length - _held < EventFilter.Room ? 0 : EventFilter.Room;
            Rest.CopyTo(_bytes.AsSpan(_ready + room));
            _held += room;
            Pass(judge.Read(_bytes.AsSpan(_ready, _held - _ready), room));
            if (end && _held > _ready && !judge.IsStopped && judge.ReadLast(_bytes.AsSpan(_ready, _held - _ready)) is { } left)
                Pass((_held - _ready, left));
        }

        // Full, and either nothing may go out, or much has come and none of it is content.
        if (_held == _bytes.Length && ((_ready == 0 && !judge.IsStopped) || (!judge.HasContent && judge.Failure == AttemptFailure.None)))
            Grow();
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_bytes);

    /// <summary>Makes ready what is left of what was judged, and closes the gap behind it.</summary>
    private void Pass((int Read, int Left) judged)
    {
        var gap = judged.Read - judged.Left;
        _ready += judged.Left;
        if (gap > 0)
        {
            _bytes.AsSpan(_ready + gap, _held - _ready - gap).CopyTo(_bytes.AsSpan(_ready));
            _held -= gap;
        }
    }

    private void Grow()
    {
        if (_bytes.Length >= LargestEvent)
        {
            (IsMidEvent, _ready) = (true, _held);
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(_bytes.Length * 2);
        _bytes.AsSpan(0, _held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
