using System.Text.Json;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>A line of the trace: when it came, its lengths in tokens, and an id for each block of its prompt.</summary>
internal sealed record TraceRequest(long Milliseconds, int InputTokens, int OutputTokens, int[] Blocks)
{
    public static TraceRequest Parse(string line)
    {
        using var json = JsonDocument.Parse(line);
        var root = json.RootElement;
        return new TraceRequest(root.GetProperty("timestamp").GetInt64(), root.GetProperty("input_length").GetInt32(),
            root.GetProperty("output_length").GetInt32(), [.. root.GetProperty("hash_ids").EnumerateArray().Select(id => id.GetInt32())]);
    }
}
