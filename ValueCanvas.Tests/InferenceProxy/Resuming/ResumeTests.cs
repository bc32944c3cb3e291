using System.ClientModel;
using OpenAI;
using OpenAI.Chat;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>Two simulators, of which one breaks in the middle: the client reads one whole answer.</summary>
public sealed class ResumeTests
{
    [Theory]
    [InlineData("/v1/chat/completions", 1, "")]
    [InlineData("/v1/chat/completions", 2, "")]
    [InlineData("/v1/chat/completions", 7, ",\"max_tokens\":20,\"min_tokens\":18")]
    [InlineData("/v1/chat/completions", 23, ",\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}")]
    [InlineData("/v1/completions", 1, ",\"max_tokens\":30")]
    [InlineData("/v1/completions", 11, "")]
    public async Task CutStream_GoesOnTokenForToken(string path, int cutAfter, string more)
    {
        await using var pair = await BrokenPair.StartAsync($"cut-after={cutAfter}");
        var body = Body(path, more);

        var (whole, resumed) = (await pair.DirectAsync(path, body), await pair.BrokenAsync(path, body));

        Assert.Equal(whole.Text, resumed.Text);
        Assert.Equal(whole.FinishReason, resumed.FinishReason);
        Assert.Equal((whole.Usage.Prompt, whole.Usage.Completion), (resumed.Usage.Prompt, resumed.Usage.Completion));
        Assert.Single(resumed.Heads);
        Assert.Equal(1, resumed.Dones);
        Assert.Contains($"\n\n: x-valuecanvas-resumed: token; x-valuecanvas-target: {await pair.OtherNameAsync()}\n\n", resumed.Raw);
        Assert.DoesNotContain("\"token_ids\":[", resumed.Raw);
        Assert.DoesNotContain("\"error\"", resumed.Raw);
    }

    [Theory]
    [InlineData("stall-after=5", "stall")]
    [InlineData("malformed-after=5", "malformed")]
    public async Task StreamThatBreaksOtherwise_GoesOn_AndTheBreakerIsTold(string fault, string cause)
    {
        await using var pair = await BrokenPair.StartAsync(fault, ("Inference:IdleTimeout", "00:00:03"));
        var body = Body("/v1/chat/completions", "");

        var resumed = await pair.BrokenAsync("/v1/chat/completions", body);

        Assert.Equal((await pair.DirectAsync("/v1/chat/completions", body)).Text, resumed.Text);
        var breaker = (await pair.Proxy.ReplicaAsync(0)).GetProperty("breakers").EnumerateArray().Single();
        Assert.Equal(cause, breaker.GetProperty("lastFailure").GetString());
    }

    // The server holds back what may begin a stop string: its token ids are ahead of the text. The text is what counts then.
    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task CutStream_WithStopStrings_GoesOnFromItsText(string path)
    {
        await using var pair = await BrokenPair.StartAsync("cut-after=6");
        var body = Body(path, ",\"stop\":[\"never said\"],\"max_tokens\":40");

        var (whole, resumed) = (await pair.DirectAsync(path, body), await pair.BrokenAsync(path, body));

        Assert.Equal(whole.Text, resumed.Text);
        Assert.Contains(": x-valuecanvas-resumed: text; ", resumed.Raw);
        Assert.Equal(1, resumed.Dones);
    }

    [Theory]
    [InlineData(",\"n\":2")]
    [InlineData(",\"logprobs\":true")]
    [InlineData(",\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData(",\"something_new\":true")]
    public async Task CutStream_OfMoreThanPlainText_EndsInAnErrorEvent(string more)
    {
        await using var pair = await BrokenPair.StartAsync("cut-after=6");

        var broken = await pair.BrokenAsync("/v1/chat/completions", Body("/v1/chat/completions", more));

        Assert.Contains("\"stream_interrupted\"", broken.Raw);
        Assert.Equal(0, broken.Dones);
        Assert.DoesNotContain("resumed", broken.Raw);
    }

    [Theory]
    [InlineData("Inference:Resume:Enabled", "false")]
    [InlineData("Inference:Retries:MaxAttempts", "1")]
    [InlineData("Inference:Resume:MaxBytes", "1024")]
    public async Task CutStream_WhereNothingIsAllowed_EndsInAnErrorEvent(string key, string value)
    {
        await using var pair = await BrokenPair.StartAsync("cut-after=90", (key, value));

        var broken = await pair.BrokenAsync("/v1/chat/completions", Body("/v1/chat/completions", ",\"min_tokens\":200"));

        Assert.Contains("\"stream_interrupted\"", broken.Raw);
        Assert.Equal(0, broken.Dones);
    }

    [Fact]
    public async Task CutStream_WithTheRetryBudgetSpent_EndsInAnErrorEvent()
    {
        await using var pair = await BrokenPair.StartAsync(
            "cut-after=6", ("Inference:Retries:MinPerSecond", "0"), ("Inference:Retries:Ratio", "0"));

        var broken = await pair.BrokenAsync("/v1/chat/completions", Body("/v1/chat/completions", ""));

        Assert.Contains("\"stream_interrupted\"", broken.Raw);
        Assert.Equal(0, broken.Dones);
    }

    [Fact]
    public async Task BothReplicasCut_TheStreamEndsInAnErrorEvent_WithWhatBothSaid()
    {
        await using var pair = await BrokenPair.StartAsync("cut-after=6");
        var body = Body("/v1/chat/completions", "");
        await pair.BreakAllAsync();

        var broken = await pair.AskAsync(body);

        Assert.StartsWith(broken.Text, (await pair.WholeAsync(body)).Text, StringComparison.Ordinal);
        Assert.Contains("x-valuecanvas-resumed: token", broken.Raw);
        Assert.Equal(2, broken.Raw.Split("\"stream_interrupted\"").Length);
        Assert.Equal(0, broken.Dones);
    }

    [Fact]
    public async Task CutStream_TheOfficialClientSeesOneWholeAnswer()
    {
        await using var pair = await BrokenPair.StartAsync("cut-after=9");
        await pair.BreakOneAsync();
        var client = new ChatClient(SimulatorServer.Model, new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri(pair.Proxy.Client.BaseAddress!, "/v1") });
        var (texts, ids) = (new List<string>(), new HashSet<string>());
        var cancel = TestContext.Current.CancellationToken;

        // In turn the two servers begin: one of two answers is cut, and they are the same.
        for (var i = 0; i < 2; i++)
        {
            var (text, finish, usage) = ("", (ChatFinishReason?)null, (ChatTokenUsage?)null);
            await foreach (var update in client.CompleteChatStreamingAsync(
                [new UserChatMessage("How can a bakery reduce food waste?")], new ChatCompletionOptions { Temperature = 0 }, cancel))
            {
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
                (finish, usage) = (update.FinishReason ?? finish, update.Usage ?? usage);
                ids.Add(update.CompletionId);
            }

            Assert.Equal(ChatFinishReason.Stop, finish);
            Assert.True(usage!.OutputTokenCount > 9);
            texts.Add(text);
        }

        Assert.Equal(texts[0], texts[1]);
        Assert.Equal(2, ids.Count);
    }

    private static string Body(string path, string more)
    {
        var prompt = path == "/v1/completions"
            ? "\"prompt\":\"How can a bakery reduce food waste?\""
                : "\"messages\":[{\"role\":\"user\",\"content\":\"How can a bakery reduce food waste?\"}]";
        var usage = more.Contains("stream_options", StringComparison.Ordinal) ? "" : ",\"stream_options\":{\"include_usage\":true}";
        return $"{{\"model\":\"{SimulatorServer.Model}\",{prompt},\"stream\":true,\"temperature\":0{usage}{more}}}";
    }
}
