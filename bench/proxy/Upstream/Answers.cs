using System.Buffers.Text;
using System.Diagnostics;
using System.Text;

namespace ValueCanvas.ProxyBench.Upstream;

/// <summary>The bytes that the upstream sends. Each event of a stream carries the time of its sending, behind <see cref="Mark"/>.</summary>
internal static class Answers
{
    public const string Model = "bench-model";
    public const int Events = 64;
    public const int EventGapMilliseconds = 20;
    public const byte Mark = (byte)'@';
    public const int StampDigits = 19;
    public const int LargestEvent = 4096;

    private const string Chunk = """
        data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-model","choices":[{"index":0,
        """;

    private static readonly string Completion = """
        {"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-model","choices":[{"index":0,"message":
        {"role":"assistant","content":"A bakery wastes less when it bakes less of what nobody buys: count what is left each evening, bake
         tomorrow's numbers from it, and sell yesterday's bread at half its price before nine."},"logprobs":null,"finish_reason":"stop"}],
        "usage":{"prompt_tokens":256,"completion_tokens":42,"total_tokens":298}}
        """.Replace("\n", "", StringComparison.Ordinal);

    public static readonly byte[] Chat = Whole("200 OK", "application/json", Completion);
    public static readonly byte[] Models = Whole("200 OK", "application/json",
        """{"object":"list","data":[{"id":"bench-model","object":"model","created":1700000000,"owned_by":"bench"}]}""");
    public static readonly byte[] Metrics = Whole("200 OK", "text/plain; version=0.0.4",
        "vllm:num_requests_running{engine=\"0\",model_name=\"bench-model\"} 0\n"
        + "vllm:num_requests_waiting{engine=\"0\",model_name=\"bench-model\"} 0\n"
        + "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"bench-model\"} 0\n");
    public static readonly byte[] Empty = Whole("200 OK", "application/x-protobuf", "");
    public static readonly byte[] LengthRequired = Whole("411 Length Required", "text/plain",
        "The bench's upstream reads bodies with a Content-Length.");

    private static readonly byte[] StreamHead = Encoding.ASCII.GetBytes(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        + "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");

    private static readonly Stream Plain = new(verbose: false);
    private static readonly Stream Verbose = new(verbose: true);

    /// <summary>Writes event number <paramref name="index"/>, with what belongs before and after it, stamped with the present time.
    /// <paramref name="verbose"/>: as vLLM writes it when asked for token ids and running usage.</summary>
    public static int WriteEvent(int index, bool verbose, Span<byte> to)
    {
        var stream = verbose ? Verbose : Plain;
        var length = 0;
        if (index == 0)
        {
            StreamHead.CopyTo(to);
            length = StreamHead.Length;
        }

        var frame = index == 0 ? stream.First : stream.Next;
        frame.CopyTo(to[length..]);
        var stamp = to.Slice(length + frame.AsSpan().IndexOf(Mark) + 1, StampDigits);
        length += frame.Length;
        if (index == Events - 1)
        {
            stream.Last.CopyTo(to[length..]);
            length += stream.Last.Length;
        }

        Utf8Formatter.TryFormat(Stopwatch.GetTimestamp(), stamp, out _, new System.Buffers.StandardFormat('D', StampDigits));
        return length;
    }

    private static byte[] Framed(string text) => Encoding.ASCII.GetBytes($"{text.Length:x}\r\n{text}\r\n");

    private static byte[] Whole(string status, string type, string body) =>
        Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nContent-Length: {body.Length}\r\n\r\n{body}");

    private sealed class Stream
    {
        public Stream(bool verbose)
        {
            var usage = verbose ? ",\"usage\":{\"prompt_tokens\":256,\"total_tokens\":298,\"completion_tokens\":42}" : "";
            var ids = verbose ? "[15496]" : "null";
            var promptIds = verbose ? $"[{string.Join(',', Enumerable.Range(10_000, 256))}]" : "null";
            var content = "\"content\":\"@0000000000000000000\"},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":" + ids + "}]";
            First = Framed(Chunk + "\"delta\":{\"role\":\"assistant\"," + content + usage + ",\"prompt_token_ids\":" + promptIds + "}\n\n");
            Next = Framed(Chunk + "\"delta\":{" + content + usage + "}\n\n");
            var last = Chunk + "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":null,\"token_ids\":null}]" + usage
                + "}\n\n";
            var bill = verbose ? Chunk[..Chunk.IndexOf('[', StringComparison.Ordinal)] + "[]" + usage + "}\n\n" : "";
            Last = [.. Framed(last), .. verbose ? Framed(bill) : [], .. Framed("data: [DONE]\n\n"), .. "0\r\n\r\n"u8];
        }

        public byte[] First { get; }

        public byte[] Next { get; }

        public byte[] Last { get; }
    }
}
