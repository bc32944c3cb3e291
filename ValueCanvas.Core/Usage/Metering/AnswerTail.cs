using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>Keeps the last bytes of an answer, where servers write its <c>usage</c>.</summary>
internal sealed class AnswerTail
{
    private const int Kept = 8 * 1024;

    private readonly byte[] _bytes = new byte[2 * Kept];
    private int _length;

    public void Note(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > Kept)
            bytes = bytes[^Kept..];
        if (_length + bytes.Length > _bytes.Length)
        {
            _bytes.AsSpan(_length - Kept, Kept).CopyTo(_bytes);
            _length = Kept;
        }

        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>The last object of that name; within a string its quotes would be escaped.</summary>
    public TokenUsage? Read()
    {
        var tail = _bytes.AsSpan(0, _length);
        var name = "\"usage\""u8;
        var at = tail.LastIndexOf(name);
        if (at < 0 || tail[(at + name.Length)..].TrimStart(" \t\r\n"u8) is not [(byte)':', .. var value])
            return null;
        try
        {
            var reader = new Utf8JsonReader(value, isFinalBlock: true, default); // what stands behind the object is not read
            var usage = reader.Read() ? JsonSerializer.Deserialize(ref reader, AnswerContext.Default.WireAnswerUsage) : null;
            return usage?.ToUsage();
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
