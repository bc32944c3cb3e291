using System.Text.Json;
using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Where a property stands in JSON: the start of its name, and its value.</summary>
internal readonly record struct JsonField(int Name, int Start, int End)
{
    public bool IsPresent => End > 0;

    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> json) => json[Start..End];

    /// <summary>Reads over the property that the reader stands on; the reader then stands on the end of its value.</summary>
    public static JsonField Skip(ref Utf8JsonReader reader)
    {
        var name = (int)reader.TokenStartIndex;
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return new JsonField(name, start, (int)reader.BytesConsumed);
    }

    /// <inheritdoc cref="Skip(ref Utf8JsonReader)"/>
    public static JsonField Skip(ref JsonWalker walker)
    {
        var name = walker.TokenStartIndex;
        walker.Read();
        var start = walker.TokenStartIndex;
        walker.Skip();
        return new JsonField(name, start, walker.BytesConsumed);
    }
}
