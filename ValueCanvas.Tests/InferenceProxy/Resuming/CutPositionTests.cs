using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>A stream that breaks at each of its events, and within each: the client has the whole answer, once.</summary>
public sealed class CutPositionTests
{
    private const string Ask = """
        {"model":"small-model","stream":true,"stream_options":{"include_usage":true},"max_tokens":50,
         "messages":[{"role":"user","content":"Hi"}]}
        """;

    private const int Words = 5;
    private const int EndOfText = 2;

    private const string Head = """{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"small-model",""";
    private const string OtherHead = """{"id":"cmpl-2","object":"text_completion","created":8,"model":"small-model",""";

    private static readonly string[] Whole =
    [
        Chat("\"role\":\"assistant\",\"content\":\"\"", null, null),
        .. Enumerable.Range(0, Words).Select(i => Chat($"\"content\":\" w{i}\"", null, 10 + i)),
        Chat("", "stop", EndOfText),
        Bill(Head, Words + 1),
        "data: [DONE]\n\n",
    ];

    public static TheoryData<int, int> Cuts()
    {
        var cuts = new TheoryData<int, int>();
        for (var whole = 1; whole < 1 + Words + 3; whole++)
        {
            cuts.Add(whole, 0);
            cuts.Add(whole, 9);
        }

        return cuts;
    }

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task CutStream_AtAnyPosition_IsReadWhole(int whole, int more)
    {
        var cut = string.Concat(Whole.Take(whole)) + (whole < Whole.Length ? Whole[whole][..more] : "");
        var chats = 0;
        async Task AnswerAsync(HttpContext context)
        {
            context.Response.ContentType = "text/event-stream";
            var chat = context.Request.Path == "/v1/chat/completions";
            var breaks = chat && Interlocked.Increment(ref chats) == 1;
            var text = breaks ? cut : chat ? string.Concat(Whole) : Rest((byte[])context.Items[FakeReplica.BodyItem]!);
            // Announced and not sent: that the answer is cut is seen behind its last byte.
            context.Response.ContentLength = Encoding.UTF8.GetByteCount(text) + (breaks ? 1 : 0);
            await context.Response.WriteAsync(text, context.RequestAborted);
        }

        await using var one = await FakeReplica.StartAsync(AnswerAsync);
        await using var other = await FakeReplica.StartAsync(AnswerAsync);
        await using var proxy = ProxyHost.Start([one.Address, other.Address]);

        using var response = await proxy.PostAsync(Ask);
        var read = ReadStream.Of(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        Assert.Equal(" w0 w1 w2 w3 w4", read.Text);
        Assert.Equal("stop", read.FinishReason);
        Assert.Equal((3, Words + 1), read.Usage);
        Assert.Equal(2, read.Raw.Split("\"choices\":[],").Length);
        Assert.Equal(1, read.Dones);
        Assert.Single(read.Heads);
        Assert.DoesNotContain("\"error\"", read.Raw);
    }

    /// <summary>What a server that goes on sends: the words that are not among the ids.</summary>
    private static string Rest(byte[] request)
    {
        using var asked = JsonDocument.Parse(request);
        var before = asked.RootElement.GetProperty("prompt").GetArrayLength() - 3;
        var words = Enumerable.Range(before, Words - before).Select(i => Completion($" w{i}", "null", 10 + i));
        return string.Concat(words) + Completion("", "\"stop\"", EndOfText) + Bill(OtherHead, Words + 1 - before) + "data: [DONE]\n\n";
    }

    private static string Chat(string delta, string? finish, int? token)
    {
        var prompt = token is null ? "\"prompt_token_ids\":[7,8,9]," : "";
        var ids = token is null ? "" : $",\"token_ids\":[{token}]";
        var reason = finish is null ? "null" : $"\"{finish}\"";
        return $"data: {Head}{prompt}\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{reason}{ids}}}]}}\n\n";
    }

    private static string Completion(string text, string finish, int token) =>
        $"data: {OtherHead}\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"finish_reason\":{finish},\"token_ids\":[{token}]}}]}}\n\n";

    private static string Bill(string head, int completion) => $"data: {head}\"choices\":[],"
        + $"\"usage\":{{\"prompt_tokens\":3,\"total_tokens\":{3 + completion},\"completion_tokens\":{completion}}}}}\n\n";
}
