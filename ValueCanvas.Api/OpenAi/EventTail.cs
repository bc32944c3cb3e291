namespace ValueCanvas.Api.OpenAi;

/// <summary>Remembers how the bytes of an event stream end, so that an event can be put after them.</summary>
internal sealed class EventTail
{
    private byte _last = (byte)'\n';
    private byte _beforeLast = (byte)'\n';

    /// <summary>What closes an event that is cut in the middle; nothing where the last one is whole.</summary>
    public ReadOnlyMemory<byte> Terminator => (_beforeLast, _last) is ((byte)'\n', (byte)'\n') ? default : "\n\n"u8.ToArray();

    public void Note(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes.Length > 2 ? bytes[^2..] : bytes)
            (_beforeLast, _last) = (_last, value);
    }
}
