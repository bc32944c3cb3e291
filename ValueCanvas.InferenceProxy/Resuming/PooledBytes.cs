using System.Buffers;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>Bytes that grow at their end, in a pooled buffer.</summary>
internal sealed class PooledBytes : IDisposable
{
    private const int FirstSize = 512;

    private byte[] _buffer = [];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, Length);

    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(0, Length);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (Length + bytes.Length > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstSize, Math.Max(_buffer.Length * 2, Length + bytes.Length)));
            Span.CopyTo(larger);
            Return();
            _buffer = larger;
        }

        bytes.CopyTo(_buffer.AsSpan(Length));
        Length += bytes.Length;
    }

    public void Truncate(int length) => Length = length;

    public void Dispose()
    {
        Return();
        (_buffer, Length) = ([], 0);
    }

    private void Return()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }
    }
}
