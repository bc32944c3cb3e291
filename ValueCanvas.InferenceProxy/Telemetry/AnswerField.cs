using System.Text;

namespace ValueCanvas.InferenceProxy.Telemetry;

/// <summary>Short strings out of an answer, for spans. A model's own text is never taken for a field: its quotes are escaped.</summary>
internal static class AnswerField
{
    private const int Longest = 256;

    /// <summary>The values of a field, wherever it stands, in order.</summary>
    /// <param name="answer">JSON, or events with JSON; the end may be missing.</param>
    /// <param name="name">In quotes.</param>
    /// <param name="most">No more than these.</param>
    public static string[] All(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> name, int most)
    {
        var found = new List<string>(1);
        while (found.Count < most && answer.IndexOf(name) is var at and >= 0)
        {
            answer = answer[(at + name.Length)..];
            if (answer.TrimStart(" \t\r\n"u8) is [(byte)':', .. var value] && Short(value.TrimStart(" \t\r\n"u8)) is { } text)
                found.Add(text);
        }

        return [.. found];
    }

    /// <summary>The JSON string that the text begins with; null where it begins with something else, or the string is long or
    /// escaped.</summary>
    public static string? Short(ReadOnlySpan<byte> json)
    {
        if (json is not [(byte)'"', .. var rest]
            || rest.IndexOf((byte)'"') is not (>= 0 and <= Longest and var end) || rest[..end].Contains((byte)'\\'))
        {
            return null;
        }

        // The reasons for an answer's end that there are, without an allocation for each answer.
        return rest[..end] switch
        {
            var stop when stop.SequenceEqual("stop"u8) => "stop",
            var length when length.SequenceEqual("length"u8) => "length",
            var tools when tools.SequenceEqual("tool_calls"u8) => "tool_calls",
            var other => Encoding.UTF8.GetString(other),
        };
    }
}
