using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>A stream that breaks at each of its events, and within each, and whose continuation breaks at each of its own: the client has
/// the whole answer, once.</summary>
public sealed class CutPositionTests
{
    private const int Words = 5;
    private const int EndOfText = 2;
    private const int Prompt = 3;
    private const string Never = "99+0";

    private readonly ConcurrentDictionary<string, int> _asked = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1/chat/completions", "token")]
    [InlineData("/v1/chat/completions", "text")]
    [InlineData("/v1/completions", "token")]
    [InlineData("/v1/completions", "text")]
    public async Task CutStream_OnceAndAgain_AtAnyPosition_IsReadWhole(string path, string mode)
    {
        await using var one = await FakeReplica.StartAsync(context => AnswerAsync(context, mode));
        await using var two = await FakeReplica.StartAsync(context => AnswerAsync(context, mode));
        await using var three = await FakeReplica.StartAsync(context => AnswerAsync(context, mode));
        await using var proxy = ProxyHost.Start([one.Address, two.Address, three.Address], ("Inference:Retries:MinPerSecond", "100000"),
            ("Inference:Breaker:ConsecutiveFailures", "100000"), ("Inference:Breaker:MinSamples", "100000"));
        var positions = from whole in Enumerable.Range(0, Words + 4) from more in (int[])[0, 9] select $"{whole}+{more}";
        var cases = from first in positions from second in (string[])[.. Enumerable.Range(0, Words + 4)
            .Select(whole => $"{whole}+0"), "3+9", Never]
                    select $"{first},{second}";
        await Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancel },
            async (cuts, _) => await AskAsync(proxy, path, mode, cuts));
    }

    private static async Task AskAsync(ProxyHost proxy, string path, string mode, string cuts)
    {
        var chat = path == "/v1/chat/completions";
        var prompt = chat ? "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" : "\"prompt\":\"Hi\"";
        using var response = await proxy.PostAsync(
            $$"""{"model":"small-model","stream":true,"stream_options":{"include_usage":true}"""
            + $$""","max_tokens":50,{{prompt}},"user":"{{cuts}}"}""",
            path);
        var read = ReadStream.Of(await response.Content.ReadAsStringAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(20), Cancel));

        // Of a text completion that tells no ids usage is told at the end, and here that is missing: then there is no bill.
        var breaks = Array.ConvertAll(cuts.Split(','), Whole);
        var untold = !chat && mode == "text" && (breaks[0] == 0 ? breaks[1] : breaks[0]) == Words + 1;
        var usage = untold ? (0, 0) : (Prompt, Words + 1);
        Assert.Equal((cuts, " w0 w1 w2 w3 w4", "stop", usage, 1), (cuts, read.Text, read.FinishReason, read.Usage, read.Dones));
        Assert.True(read.Raw.Split("\"choices\":[]").Length == (untold ? 1 : 2), cuts);
        Assert.Single(read.Heads);
        Assert.DoesNotContain("\"error\"", read.Raw);
        var (firstText, lastText) = chat ? (2, Words + 1) : (1, Words); // events that have to be whole
        if (breaks[0] >= firstText && breaks[0] <= lastText)
            Assert.Contains($": x-valuecanvas-resumed: {mode}; ", read.Raw);
    }

    private async Task AnswerAsync(HttpContext context, string mode)
    {
        var asked = VllmEvents.Asked(context);
        var cuts = asked.GetProperty("user").GetString()!;
        var turn = _asked.AddOrUpdate(cuts, 0, (_, before) => before + 1);
        var events = Events(VllmEvents.Of(context), asked, withIds: mode == "token");
        var cut = turn < 2 ? cuts.Split(',')[turn] : Never;
        var whole = Whole(cut);
        var breaks = whole < events.Length;
        var more = breaks ? events[whole][..int.Parse(cut.Split('+')[1], CultureInfo.InvariantCulture)] : "";
        await VllmEvents.SendAsync(context, string.Concat(events.Take(whole)) + more, breaks);
    }

    /// <summary>The words that are not there yet, the end, the bill.</summary>
    private static string[] Events(VllmEvents events, JsonElement asked, bool withIds)
    {
        var before = Before(asked);
        var running = asked.GetProperty("stream_options").TryGetProperty("continuous_usage_stats", out _);
        return
        [
            .. events.Chat ? [events.Role(withIds ? [7, 8, 9] : null, Told(0))] : (string[])[],
            .. Enumerable.Range(before, Words - before)
                .Select(i => events.Text($" w{i}", withIds ? [10 + i] : null, usage: Told(i + 1 - before))),
            events.Text("", withIds ? [EndOfText] : null, "stop", Told(Words + 1 - before)),
            events.Bill(Prompt + before, Words + 1 - before),
            VllmEvents.Done,
        ];

        string? Told(int tokens) => running ? VllmEvents.Usage(Prompt + before, tokens) : null;
    }

    /// <summary>How many words the request brings with it: as ids, or as text.</summary>
    private static int Before(JsonElement asked)
    {
        if (asked.TryGetProperty("prompt", out var prompt))
            return prompt.ValueKind == JsonValueKind.Array ? prompt.GetArrayLength() - Prompt : prompt.GetString()!.Split(" w").Length - 1;

        return asked.GetProperty("messages").EnumerateArray().Last().GetProperty("content").GetString()!.Split(" w").Length - 1;
    }

    private static int Whole(string cut) => int.Parse(cut.Split('+')[0], CultureInfo.InvariantCulture);
}
