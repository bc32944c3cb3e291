using System.Buffers;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>Takes an answer down while it passes, until it is known to be too large.</summary>
internal sealed class AnswerRecorder(AnswerKind kind, bool isStream, int maxBytes, int maxStreamBytes)
{
    private readonly StreamAssembler? _assembler = isStream ? new StreamAssembler(kind) : null;
    private ArrayBufferWriter<byte>? _whole = isStream ? null : new ArrayBufferWriter<byte>(4096);
    private long _bytes;

    public bool IsFallback => _assembler?.IsFallback == true;

    /// <summary>A stream has said that it is whole.</summary>
    public bool IsDone => _assembler?.IsDone == true;

    public bool IsTooLarge { get; private set; }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        _bytes += bytes.Length;
        IsTooLarge |= _bytes > (isStream ? maxStreamBytes : maxBytes);
        if (IsTooLarge)
        {
            _whole = null;
            return;
        }

        _assembler?.Add(bytes);
        _whole?.Write(bytes);
    }

    /// <summary>The answer as one JSON text, after a clean end; null where there is none.</summary>
    public byte[]? End(TokenUsage? known)
    {
        if (IsTooLarge)
            return null;
        _assembler?.End();
        return _assembler is null ? _whole?.WrittenSpan.ToArray() : _assembler.ToAnswer(known);
    }
}
