using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>Finds the <c>usage</c> of an answer that passes.</summary>
internal sealed class AnswerTail
{
    private readonly LastBytes _last = new();

    public void Note(ReadOnlySpan<byte> bytes) => _last.Note(bytes);

    /// <summary>The last object of that name; within a string its quotes would be escaped.</summary>
    public TokenUsage? Read()
    {
        var tail = _last.Bytes;
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
