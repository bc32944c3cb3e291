using System.Text.Json;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class ChatTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    private static object Ask(string text = "How can a bakery in Berlin reduce food waste?", long? seed = null,
        double? temperature = null) =>
        new { model = SimulatorServer.Model, messages = SimulatorServer.User(text), seed, temperature };

    [Fact]
    public async Task Chat_SameSeed_SameAnswer_OtherSeedOther()
    {
        var first = await _server.ContentAsync(Ask(seed: 7, temperature: 0.8));
        var again = await _server.ContentAsync(Ask(seed: 7, temperature: 0.8));
        var other = await _server.ContentAsync(Ask(seed: 8, temperature: 0.8));
        var greedy = await _server.ContentAsync(Ask(seed: 7, temperature: 0));
        var greedyOther = await _server.ContentAsync(Ask(seed: 8, temperature: 0));

        Assert.Equal(first, again);
        Assert.NotEqual(first, other);
        Assert.Equal(greedy, greedyOther);
        Assert.Contains("food waste", first);
    }

    [Fact]
    public async Task Chat_WholeAnswer_HasTheShapeOfVllm()
    {
        var answer = await _server.ChatAsync(Ask());
        var choice = answer.GetProperty("choices")[0];
        var usage = answer.GetProperty("usage");

        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString());
        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.Equal(SimulatorServer.Model, answer.GetProperty("model").GetString());
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(usage.GetProperty("total_tokens").GetInt32(), usage.GetProperty("prompt_tokens").GetInt32()
            + usage.GetProperty("completion_tokens").GetInt32());
        Assert.Equal(JsonValueKind.Null, usage.GetProperty("prompt_tokens_details").ValueKind);
    }

    [Fact]
    public async Task Chat_AskedForOneSentence_EndsWithIt()
    {
        var answer = await _server.ChatAsync(Ask("How can a bakery in Berlin reduce food waste? Answer in one sentence."));
        var choice = answer.GetProperty("choices")[0];
        var text = choice.GetProperty("message").GetProperty("content").GetString()!;

        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(text.Length - 1, text.IndexOf('.'));
    }

    [Fact]
    public async Task Chat_SamePromptTwice_ReportsCachedTokensAndMetrics()
    {
        var text = string.Join(' ', Enumerable.Repeat("A long shared beginning of a prompt.", 40));
        await _server.ChatAsync(Ask(text));
        var usage = (await _server.ChatAsync(Ask(text))).GetProperty("usage");
        var prompt = usage.GetProperty("prompt_tokens").GetInt32();
        var cached = usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

        Assert.Equal((prompt - 1) / 16 * 16, cached);
        Assert.Equal(cached, await _server.MetricAsync("vllm:prefix_cache_hits_total"));
        Assert.Equal(2 * prompt, await _server.MetricAsync("vllm:prefix_cache_queries_total"));
        Assert.Equal(2 * prompt, await _server.MetricAsync("vllm:prompt_tokens_total"));
        Assert.Equal(cached, await _server.MetricAsync("vllm:prompt_tokens_cached_total"));
        Assert.Equal(cached, await _server.MetricAsync("vllm:prompt_tokens_by_source_total", "\"local_cache_hit\""));
        Assert.Equal(2 * prompt - cached, await _server.MetricAsync("vllm:request_prefill_kv_computed_tokens_sum"));
        Assert.Equal(2, await _server.MetricAsync("vllm:request_success_total", "\"stop\""));
    }

    [Fact]
    public async Task Chat_MaxTokens_EndsWithLength()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("Tell me about trains."), max_completion_tokens = 5 });

        Assert.Equal("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(5, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_IgnoreEosAndMinTokens_GoOnBeyondTheNaturalEnd()
    {
        var forced = await _server.ChatAsync(new { messages = SimulatorServer.User("Hi"), ignore_eos = true, max_tokens = 900 });
        var atLeast = await _server.ChatAsync(new { messages = SimulatorServer.User("Hi"), min_tokens = 600, max_tokens = 2_000 });

        Assert.Equal(900, forced.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.InRange(atLeast.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), 600, 2_000);
    }

    [Fact]
    public async Task Chat_StopString_IsNotInTheAnswer()
    {
        var whole = await _server.ContentAsync(Ask());
        var stop = whole.Split(' ')[6];
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("How can a bakery in Berlin reduce food waste?"),
            stop = new[] { "never-there", stop } });
        var choice = answer.GetProperty("choices")[0];

        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)],
            choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(stop, choice.GetProperty("stop_reason").GetString());
    }

    [Fact]
    public async Task Chat_SeveralChoices_DifferAndAreAllBilled()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("Name three ideas."), n = 3, max_tokens = 20 });
        var choices = answer.GetProperty("choices").EnumerateArray().ToArray();

        Assert.Equal([0, 1, 2], choices.Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(3, choices.Select(choice => choice.GetProperty("message").GetProperty("content").GetString()).Distinct().Count());
        Assert.Equal(60, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_Logprobs_CoverEveryToken()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("Hi"), logprobs = true, top_logprobs = 3,
            max_tokens = 4 });
        var choice = answer.GetProperty("choices")[0];
        var tokens = choice.GetProperty("logprobs").GetProperty("content").EnumerateArray().ToArray();

        Assert.Equal(4, tokens.Length);
        Assert.Equal(choice.GetProperty("message").GetProperty("content").GetString(),
            string.Concat(tokens.Select(token => token.GetProperty("token").GetString())));
        Assert.All(tokens, token =>
        {
            Assert.True(token.GetProperty("logprob").GetDouble() <= 0);
            Assert.Equal(3, token.GetProperty("top_logprobs").GetArrayLength());
        });
    }

    [Fact]
    public async Task Stream_WithUsage_HasRoleFirstThenTokensThenBillThenDone()
    {
        var body = new { messages = SimulatorServer.User("Hi there"), stream = true, max_tokens = 6,
            stream_options = new { include_usage = true, continuous_usage_stats = true } };
        var whole = await _server.ContentAsync(new { messages = SimulatorServer.User("Hi there"), max_tokens = 6 });

        var events = await _server.EventsAsync("/v1/chat/completions", body);
        var chunks = events[..^1].Select(text => JsonDocument.Parse(text).RootElement).ToArray();

        Assert.Equal("[DONE]", events[^1]);
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.GetProperty("object").GetString()));
        Assert.Equal("assistant", chunks[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
        Assert.Equal(whole, string.Concat(chunks[1..^1].Select(chunk =>
            chunk.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString())));
        Assert.Equal([1, 2, 3, 4, 5, 6],
            chunks[1..^1].Select(chunk => chunk.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        Assert.Equal("length", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(6, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_TokenIds_AreThePromptOnceAndEachToken()
    {
        var events = await _server.EventsAsync("/v1/chat/completions",
            new { messages = SimulatorServer.User("Hi"), stream = true, max_tokens = 3, return_token_ids = true });
        var chunks = events[..^1].Select(text => JsonDocument.Parse(text).RootElement).ToArray();
        var tokens = chunks[1..].SelectMany(chunk => chunk.GetProperty("choices")[0].GetProperty("token_ids").EnumerateArray()).ToArray();
        var text = await _server.OkAsync("/detokenize", new { tokens });

        Assert.True(chunks[0].GetProperty("prompt_token_ids").GetArrayLength() > 5);
        Assert.Equal(3, tokens.Length);
        Assert.Equal(text.GetProperty("prompt").GetString(),
            string.Concat(chunks[1..].Select(chunk =>
            chunk.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString())));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(57)]
    [InlineData(200)]
    public async Task Continue_FromAPrefixOfTheAnswer_GivesTheRest(int characters)
    {
        var whole = await _server.ContentAsync(Ask(seed: 5));
        var prefix = whole[..Math.Min(characters, whole.Length)];

        var rest = await _server.ContentAsync(new
        {
            messages = new[] { new { role = "user", content = "How can a bakery in Berlin reduce food waste?" },
                new { role = "assistant", content = prefix } },
            seed = 5,
            continue_final_message = true,
            add_generation_prompt = false,
        });

        Assert.Equal(whole, prefix + rest);
    }

    [Fact]
    public async Task Continue_ByTokenIdsThroughCompletions_GivesTheRest()
    {
        var chat = await _server.ChatAsync(new { messages = SimulatorServer.User("Tell me about tea."), seed = 3,
            return_token_ids = true });
        var prompt = chat.GetProperty("prompt_token_ids").EnumerateArray().Select(id => id.GetInt32());
        var answer = chat.GetProperty("choices")[0].GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();

        var rest = await _server.OkAsync("/v1/completions",
            new { prompt = prompt.Concat(answer[..12]), seed = 3, max_tokens = 1_000, return_token_ids = true });

        Assert.Equal(answer[12..], rest.GetProperty("choices")[0].GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()));
    }

    [Fact]
    public async Task Completions_ResentWithTheAnswersBeginning_GoesOn()
    {
        var whole = (await _server.OkAsync("/v1/completions", new { prompt = "Once upon a time\n\nthere was a mill", max_tokens = 400 }))
            .GetProperty("choices")[0].GetProperty("text").GetString()!;
        var rest = (await _server.OkAsync("/v1/completions",
            new { prompt = "Once upon a time\n\nthere was a mill" + whole[..70], max_tokens = 400 }))
            .GetProperty("choices")[0].GetProperty("text").GetString()!;

        Assert.Equal(whole[70..], rest);
    }

    [Fact]
    public async Task Completions_EchoBatchAndLogprobs_AnswerEveryPrompt()
    {
        var answer = await _server.OkAsync("/v1/completions",
            new { prompt = (List<string>)["One", "Two"], n = 2, max_tokens = 3, echo = true, logprobs = 2 });
        var choices = answer.GetProperty("choices").EnumerateArray().ToArray();

        Assert.Equal(4, choices.Length);
        Assert.Equal(["One", "One", "Two", "Two"], choices.Select(choice => choice.GetProperty("text").GetString()![..3]));
        Assert.Equal(3, choices[3].GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
        Assert.Equal(12, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("""{"model":"nobody/nothing","messages":[{"role":"user","content":"Hi"}]}""", 404, "does not exist")]
    [InlineData("{not json", 400, "JSON")]
    [InlineData("null", 400, "object")]
    [InlineData("""{"messages":[]}""", 400, "messages")]
    [InlineData("""{"messages":"Hi"}""", 400, "messages")]
    [InlineData("""{"messages":[{"role":"user"}]}""", 400, "content")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"temperature":-1}""", 400, "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"top_p":0}""", 400, "top_p")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"n":0}""", 400, "n must")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"max_tokens":0}""", 400, "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"max_tokens":131072}""", 400, "maximum context length is 131072")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"priority":1}""", 400, "Priority scheduling is not enabled")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}""", 400, "stream=True")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"top_logprobs":2}""", 400, "logprobs")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"stop":[""]}""", 400, "stop")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"cache_salt":""}""", 400, "cache_salt")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"tool_choice":"auto"}""", 400, "tools")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"continue_final_message":true}""", 400, "add_generation_prompt")]
    [InlineData("""{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"xml"}}""", 400, "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", 400, "messages")]
    public async Task Chat_BadRequest_IsRefusedInVllmsShape(string body, int status, string says)
    {
        var (actual, answer) = await _server.PostAsync("/v1/chat/completions", body);
        var error = answer.GetProperty("error");

        Assert.Equal(status, actual);
        Assert.Contains(says, error.GetProperty("message").GetString());
        Assert.Equal(status == 404 ? "NotFoundError" : "BadRequestError", error.GetProperty("type").GetString());
        Assert.Equal(status, error.GetProperty("code").GetInt32());
        Assert.True(error.TryGetProperty("param", out _));
    }

    [Fact]
    public async Task Chat_PromptLongerThanTheContext_IsRefused()
    {
        using var small = SimulatorServer.Start(("MaxModelLen", "64"));

        var (status, answer) = await small.PostAsync("/v1/chat/completions", Ask(string.Join(' ', Enumerable.Repeat("word", 100))));

        Assert.Equal(400, status);
        Assert.Contains("maximum context length is 64 tokens", answer.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task Status_Endpoints_AnswerAsVllm()
    {
        using var health = await _server.Client.GetAsync("/health", TestContext.Current.CancellationToken);
        var models = JsonDocument.Parse(await _server.Client.GetStringAsync("/v1/models", TestContext.Current.CancellationToken))
            .RootElement;

        Assert.True(health.IsSuccessStatusCode);
        Assert.Empty(await health.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(SimulatorServer.Model, models.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal(131_072, models.GetProperty("data")[0].GetProperty("max_model_len").GetInt32());
        Assert.Contains("\"version\"", await _server.Client.GetStringAsync("/version", TestContext.Current.CancellationToken));
        Assert.Contains("server_load", await _server.Client.GetStringAsync("/load", TestContext.Current.CancellationToken));
        Assert.Equal(29_205, double.Parse(System.Text.RegularExpressions.Regex.Match(
            await _server.Client.GetStringAsync("/metrics", TestContext.Current.CancellationToken), "num_gpu_blocks=\"(\\d+)\"")
                .Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture));
    }
}
