using System.Buffers;

using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>Bytes that grow at their end, in a pooled buffer.</summary>
/// <param name="budget">Pays for the buffer; null: it is free.</param>
internal sealed class PooledBytes(BodyBudget? budget = null) : IDisposable
{
    private const int FirstSize = 512;

    private byte[] _buffer = [];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, Length);

    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(0, Length);

    /// <summary>False, and nothing appended, where the budget is spent.</summary>
    public bool Append(ReadOnlySpan<byte> bytes)
    {
        if (Length + bytes.Length > _buffer.Length && !TryGrow(Length + bytes.Length))
            return false;

        bytes.CopyTo(_buffer.AsSpan(Length));
        Length += bytes.Length;
        return true;
    }

    public void Truncate(int length) => Length = length;

    public void Dispose()
    {
        Return();
        (_buffer, Length) = ([], 0);
    }

    private bool TryGrow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstSize, Math.Max(_buffer.Length * 2, needed)));
        if (budget?.TryTake(larger.Length) == false)
        {
            ArrayPool<byte>.Shared.Return(larger);
            return false;
        }

        Span.CopyTo(larger);
        Return();
        _buffer = larger;
        return true;
    }

    private void Return()
    {
        if (_buffer.Length > 0)
        {
            budget?.Give(_buffer.Length);
            ArrayPool<byte>.Shared.Return(_buffer);
        }
    }
}
