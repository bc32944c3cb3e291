using System.Buffers.Text;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Reads, line by line, what matters of a vLLM server's Prometheus text; other lines cost a comparison. Names old and new are
/// known.</summary>
internal struct VllmMetrics
{
    private double _running;
    private double _waiting;
    private double _kvUsage;
    private long _cacheTokens;
    private bool _known;

    /// <summary>A line, without its end.</summary>
    public void Line(ReadOnlySpan<byte> line)
    {
        if (!line.StartsWith("vllm:"u8))
            return;

        line = line["vllm:"u8.Length..];
        var end = line.IndexOfAny((byte)'{', (byte)' ');
        if (end < 0)
            return;

        var name = line[..end];
        if (name.SequenceEqual("num_requests_running"u8) && Value(line) is { } running)
        {
            (_running, _known) = (_running + running, true); // one sample for each engine of the server
        }
        else if (name.SequenceEqual("num_requests_waiting"u8) && Value(line) is { } waiting)
        {
            (_waiting, _known) = (_waiting + waiting, true);
        }
        else if ((name.SequenceEqual("kv_cache_usage_perc"u8) || name.SequenceEqual("gpu_cache_usage_perc"u8)) && Value(line) is { } usage)
        {
            _kvUsage = Math.Max(_kvUsage, usage);
        }
        else if (name.SequenceEqual("cache_config_info"u8))
        {
            _cacheTokens += Label(line, "num_gpu_blocks=\""u8) * Label(line, "block_size=\""u8);
        }
    }

    /// <summary>Null where the text is not a vLLM server's.</summary>
    /// <param name="own">How many of the requests are this proxy's.</param>
    public readonly LiveLoad? ToLoad(int own) => !_known
        ? null
        : new LiveLoad(
            Count(_running), Count(_waiting), Math.Clamp(_kvUsage, 0, 1), _cacheTokens, Math.Max(0, Count(_running + _waiting) - own));

    private static int Count(double value) => (int)Math.Clamp(value, 0, 1_000_000);

    private static double? Value(ReadOnlySpan<byte> line)
    {
        var name = line.LastIndexOf((byte)'}');
        name = name < 0 ? line.IndexOf((byte)' ') : name;
        if (name < 0)
            return null;

        var text = line[(name + 1)..].Trim((byte)' ');
        return Utf8Parser.TryParse(text, out double value, out _) && double.IsFinite(value) ? value : null;
    }

    private static long Label(ReadOnlySpan<byte> line, ReadOnlySpan<byte> name)
    {
        var start = line.IndexOf(name);
        return start >= 0 && Utf8Parser.TryParse(line[(start + name.Length)..], out int value, out _) && value > 0 ? value : 0;
    }
}
