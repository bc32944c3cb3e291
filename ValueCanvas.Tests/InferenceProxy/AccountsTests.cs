using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>What the proxy tells Api and Worker of a call's costs, and nobody else.</summary>
public sealed class AccountsTests
{
    private const string Key = "the-internal-key-of-tests";
    private const string Mark = "00ff00ff00ff00ff";
    private const string Header = "x-valuecanvas-accounts";
    private const string Ask = """{"model":"default","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_Asked_HasCountsBeforeTheirEventsAndTheWholeBehind_ElseIsAsItWas()
    {
        using var next = new SemaphoreSlim(0);
        await using var replica = await FakeReplica.StartAsync(context => CountedAsync(context,
            () => next.WaitAsync(context.RequestAborted)));
        await using var proxy = ProxyHost.Start(replica, ("Inference:InternalKey", Key));

        using var reader = new StreamReader(await (await SendAsync(proxy, Ask)).Content.ReadAsStreamAsync(Cancel));
        var told = "";
        while (!told.Contains("data: ", StringComparison.Ordinal))
            told += await reader.ReadLineAsync(Cancel) + "\n";
        next.Release(2);
        told += await reader.ReadToEndAsync(Cancel);
        var plain = await (await proxy.PostAsync(Ask)).Content.ReadAsStringAsync(Cancel);

        var lines = told.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(plain, string.Concat(lines.Where(line => !line.StartsWith($":{Mark}",
            StringComparison.Ordinal)).Select(line => line + "\n\n")));
        Assert.DoesNotContain("usage", plain, StringComparison.Ordinal);
        Assert.Equal("[7,1,4,0]", Json(lines[0]).GetProperty("usage").GetRawText());
        Assert.Equal("small-model", Json(lines[0]).GetProperty("attempts")[0].GetProperty("model").GetString());
        Assert.StartsWith("data: ", lines[1], StringComparison.Ordinal);
        Assert.Contains($":{Mark} 7 2 4 1", lines);
        var accounts = Json(lines[^1]);
        Assert.True(accounts.GetProperty("whole").GetBoolean());
        Assert.Equal("[7,2,4,1]", accounts.GetProperty("usage").GetRawText());
        var attempt = Assert.Single(accounts.GetProperty("attempts").EnumerateArray());
        Assert.Equal(
            ("vllm", "small-model", "none", true, false),
            (attempt.GetProperty("provider").GetString(), attempt.GetProperty("model").GetString(), attempt.GetProperty("end").GetString(),
                attempt.GetProperty("answer").GetBoolean(), attempt.GetProperty("hedge").GetBoolean()));
        Assert.True(attempt.GetProperty("replica_ms").GetDouble() > 0);
    }

    [Fact]
    public async Task Answer_Asked_HasItInAHeader()
    {
        await using var replica = await FakeReplica.StartAsync(context => Answer(context, ""));
        await using var proxy = ProxyHost.Start(replica, ("Inference:InternalKey", Key));

        using var response = await SendAsync(proxy, """{"model":"default"}""");

        var accounts = JsonDocument.Parse(response.Headers.GetValues(Header).Single()).RootElement;
        Assert.Equal("[3,5,0,0]", accounts.GetProperty("usage").GetRawText());
        Assert.Contains("\"usage\"", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, Mark)]
    [InlineData("wrong-key", Mark)]
    [InlineData(Key, null)]
    [InlineData(Key, "not hexadecimal")]
    [InlineData(Key, "")]
    public async Task Caller_NotProvenOrNotAsking_IsToldNothing(string? key, string? mark)
    {
        await using var replica = await FakeReplica.StartAsync(CountedAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:InternalKey", Key));

        using var response = await SendAsync(proxy, Ask, key, mark);

        Assert.False(response.Headers.Contains(Header));
        Assert.DoesNotContain("\n:", "\n" + await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Attempts_ThatFailed_AreTold_AndTheServersNeverHearOfIt()
    {
        await using var bad = await FakeReplica.StartAsync(context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var good = await FakeReplica.StartAsync(CountedAsync);
        await using var proxy = ProxyHost.Start([bad.Address, good.Address], ("Inference:InternalKey", Key), ("Inference:Routing:Policy",
            "round-robin"));

        List<JsonElement> seen = [];
        for (var i = 0; i < 2; i++)
        {
            var text = await (await SendAsync(proxy, Ask)).Content.ReadAsStringAsync(Cancel);
            seen.Add(Json(text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1]));
        }

        var retried = seen.Single(accounts => accounts.GetProperty("attempts").GetArrayLength() == 2).GetProperty("attempts");
        Assert.Equal(("server_error", false), (retried[0].GetProperty("end").GetString(), retried[0].GetProperty("answer").GetBoolean()));
        Assert.Equal(("none", true), (retried[1].GetProperty("end").GetString(), retried[1].GetProperty("answer").GetBoolean()));
        Assert.All(good.Received.Concat(bad.Received), request => Assert.DoesNotContain(Header, request.Headers.Keys));
    }

    [Fact]
    public async Task Stream_ThatBroke_IsNotWhole_AndHasWhatWasCounted()
    {
        using var read = new SemaphoreSlim(0);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, Chunk("a", 1));
            await read.WaitAsync(context.RequestAborted);
            context.Abort();
        });
        await using var proxy = ProxyHost.Start(replica, ("Inference:InternalKey", Key), ("Inference:Resume:Enabled", "false"));

        using var reader = new StreamReader(await (await SendAsync(proxy, Ask)).Content.ReadAsStreamAsync(Cancel));
        Assert.NotNull(await reader.ReadLineAsync(Cancel));
        read.Release();
        var lines = (await reader.ReadToEndAsync(Cancel)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);

        var accounts = Json(lines[^1]);
        Assert.False(accounts.GetProperty("whole").GetBoolean());
        Assert.Equal("[7,1,4,0]", accounts.GetProperty("usage").GetRawText());
        Assert.Equal("cut", accounts.GetProperty("attempts")[0].GetProperty("end").GetString());
    }

    private static Task CountedAsync(HttpContext context) => CountedAsync(context, () => Task.CompletedTask);

    private static async Task CountedAsync(HttpContext context, Func<Task> wait)
    {
        await FakeReplica.EventAsync(context, Chunk("a", 1));
        await wait();
        await FakeReplica.EventAsync(context, Chunk("b", 2, "stop"));
        await FakeReplica.EventAsync(
            context,
            """
            {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":1}}}
            """.ReplaceLineEndings(""));
        await FakeReplica.EventAsync(context, "[DONE]");
    }

    private static string Chunk(string text, int tokens, string? finish = null) =>
        $$"""
        {"choices":[{"index":0,"delta":{"content":"{{text}}"},"finish_reason":{{(finish is null ? "null" : $"\"{finish}\"")}}}],
        "usage":{"prompt_tokens":7,"completion_tokens":{{tokens}},"prompt_tokens_details":{"cached_tokens":4} } }
        """.ReplaceLineEndings("");

    private static Task Answer(HttpContext context, string text)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(
            $$$"""
            {"choices":[{"index":0,"message":{"content":"{{{text}}}"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":3,"completion_tokens":5}}
            """);
    }

    private static JsonElement Json(string line) => JsonDocument.Parse(line[(Mark.Length + 2)..]).RootElement;

    private static async Task<HttpResponseMessage> SendAsync(ProxyHost proxy, string body, string? key = Key, string? mark = Mark)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json"),
        };
        if (key is not null)
            request.Headers.TryAddWithoutValidation("x-valuecanvas-internal", key);
        if (mark is not null)
            request.Headers.TryAddWithoutValidation(Header, mark);
        var response = await proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }
}
