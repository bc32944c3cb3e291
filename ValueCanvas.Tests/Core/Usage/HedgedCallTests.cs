using Microsoft.AspNetCore.Http;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>What the proxy asks for a second time is in the books, and nobody's bill.</summary>
public sealed class HedgedCallTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private const string InternalKey = "the-internal-key-of-tests";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hedge_ThatAnswers_AndTheAttemptThatItOutran_AreAttemptRowsOfOneBilledCall()
    {
        var isHeld = 0;
        async Task AnswerAsync(HttpContext context)
        {
            if (Interlocked.CompareExchange(ref isHeld, 2, 1) == 1)
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":"stop"}]}""");
            await FakeReplica.EventAsync(context, """{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}""");
            await FakeReplica.EventAsync(context, "[DONE]");
        }

        await using var one = await FakeReplica.StartAsync(AnswerAsync);
        await using var two = await FakeReplica.StartAsync(AnswerAsync);
        await using var proxy = ProxyHost.Start(
            [one.Address, two.Address], ("Inference:InternalKey", InternalKey), ("Inference:Hedging:MinSamples", "5"),
            ("Inference:Hedging:MaxShare", "0.5"));
        await using var host = await UsageHost.StartAsync(
            database.App, inference: proxy.Client.BaseAddress!.ToString(),
            settings: [("Inference:InternalKey", InternalKey), ("Usage:Prices:1:Model", "small-model"), ("Usage:Prices:1:Output", "100")]);
        for (var i = 0; i < 20; i++)
            await AskAsync(host.Client);

        // Whoever is asked first now says nothing.
        Volatile.Write(ref isHeld, 1);
        var id = await AskAsync(host.Client);

        Assert.Equal(2, Volatile.Read(ref isHeld));
        await UsageWriterTests.UntilAsync(
            async () => await database.ScalarAsync<long>($"SELECT count(*) FROM llm_attempts WHERE call_id = '{id}'") == 2);
        Assert.Equal(
            "false false outrun, true true none",
            await database.ScalarAsync<string>(
                $"""
                 SELECT string_agg(concat_ws(' ', hedge::text, answer::text, ended), ', ' ORDER BY number)
                 FROM llm_attempts WHERE call_id = '{id}'
                 """));
        Assert.Equal(
            "completed 7 2 0.0002000000",
            await database.ScalarAsync<string>(
                $"SELECT string_agg(concat_ws(' ', status, input_tokens, output_tokens, cost), ', ') FROM llm_usage WHERE id = '{id}'"));
    }

    private static async Task<Guid> AskAsync(InferenceClient client)
    {
        var call = new InferenceCall(Tenants.Development) { Route = "/test" };
        await foreach (var delta in client.StreamChatAsync(new([new("user", "Hi")]) { Call = call }, Cancellation))
            Assert.NotNull(delta.Text);
        return call.Id;
    }
}
