using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Inference;

public sealed class InferenceClientTests
{
    private static readonly ChatRequest Question = new([new ChatMessage("user", "Hi")]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Chat_Answered_HasTextModelProviderAndUsage()
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context =>
        {
            context.Response.Headers[InferenceClient.ProviderHeader] = "vllm";
            return FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        };
        using var host = new InferenceHost(fake.Address);

        var completion = await host.Client.ChatAsync(Question with { Temperature = 0.5, MaxTokens = 12, User = "u" }, Cancellation);

        Assert.Equal(new ChatCompletion("Hello.", "fake-model", "vllm", "stop", new TokenUsage(7, 3, 0)), completion);
        var sent = Assert.Single(fake.Seen);
        Assert.Equal("/v1/chat/completions", sent.Target);
        Assert.Equal(
            """{"model":"default","messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"max_tokens":12,"user":"u"}""",
            sent.Json.GetRawText());
    }

    [Theory]
    [InlineData(400, null, InferenceFailure.BadRequest)]
    [InlineData(404, "model_not_found", InferenceFailure.ModelNotFound)]
    [InlineData(429, null, InferenceFailure.RateLimited)]
    [InlineData(401, null, InferenceFailure.Unavailable)]
    [InlineData(500, null, InferenceFailure.Unavailable)]
    [InlineData(503, null, InferenceFailure.Unavailable)]
    [InlineData(504, null, InferenceFailure.Timeout)]
    public async Task Chat_RefusedByTheProxy_ThrowsItsKind(int status, string? code, InferenceFailure kind)
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context =>
        {
            context.Response.Headers.RetryAfter = "7";
            return FakeInference.Error(context, status, "too long by 5 tokens", code);
        };
        using var host = new InferenceHost(fake.Address);

        var failure = await Assert.ThrowsAsync<InferenceException>(() => host.Client.ChatAsync(Question, Cancellation));

        Assert.Equal(kind, failure.Kind);
        Assert.Equal(TimeSpan.FromSeconds(7), failure.RetryAfter);
        // Only what concerns the request is told on; the rest may speak of the inside.
        Assert.Equal(kind is InferenceFailure.BadRequest or InferenceFailure.ModelNotFound, failure.Message == "too long by 5 tokens");
    }

    [Fact]
    public async Task Chat_NothingListens_IsUnavailable()
    {
        using var host = new InferenceHost(FakeInference.NowhereAddress());

        var failure = await Assert.ThrowsAsync<InferenceException>(() => host.Client.ChatAsync(Question, Cancellation));

        Assert.Equal(InferenceFailure.Unavailable, failure.Kind);
        Assert.True(failure.IsTransient);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("{\"choices\":[]}")]
    public async Task Chat_UnreadableAnswer_IsInvalid(string body)
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Text(context, 200, body);
        using var host = new InferenceHost(fake.Address);

        var failure = await Assert.ThrowsAsync<InferenceException>(() => host.Client.ChatAsync(Question, Cancellation));

        Assert.Equal(InferenceFailure.InvalidAnswer, failure.Kind);
    }

    [Fact]
    public async Task Chat_NoAnswerInTime_IsTimeout()
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = NeverAsync;
        using var host = new InferenceHost(fake.Address, ("Inference:Client:ResponseTimeout", "00:00:00.2"));

        var failure = await Assert.ThrowsAsync<InferenceException>(() => host.Client.ChatAsync(Question, Cancellation));

        Assert.Equal(InferenceFailure.Timeout, failure.Kind);
    }

    [Fact]
    public async Task Chat_CallerCancels_ThrowsCancellationAndStopsTheServer()
    {
        await using var fake = await FakeInference.StartAsync();
        var arrived = new TaskCompletionSource();
        var aborted = new TaskCompletionSource();
        fake.Answer = async context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            arrived.SetResult();
            await NeverAsync(context);
        };
        using var host = new InferenceHost(fake.Address);
        using var caller = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);

        var call = host.Client.ChatAsync(Question, caller.Token);
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await aborted.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
    }

    [Fact]
    public async Task Stream_Answered_YieldsPiecesAndLastTheCompletion()
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Stream(context, "Hel", "lo.");
        using var host = new InferenceHost(fake.Address);

        var deltas = await host.Client.StreamChatAsync(Question, Cancellation).ToListAsync(Cancellation);

        Assert.Equal(["Hel", "lo.", ""], deltas.Select(delta => delta.Text));
        Assert.Equal(new ChatCompletion("Hello.", "fake-model", null, "stop", new TokenUsage(7, 2, 0)), deltas[^1].Completion);
        Assert.True(Assert.Single(fake.Seen).Json.GetProperty("stream_options").GetProperty("include_usage").GetBoolean());
    }

    [Fact]
    public async Task Stream_FirstPiece_ArrivesBeforeTheServerFinishes()
    {
        await using var fake = await FakeInference.StartAsync();
        var goOn = new TaskCompletionSource();
        fake.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("first"));
            await goOn.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Stream(context, " second");
        };
        using var host = new InferenceHost(fake.Address);

        await using var deltas = host.Client.StreamChatAsync(Question, Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await deltas.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation));
        Assert.Equal("first", deltas.Current.Text);
        goOn.SetResult();
        while (deltas.Current.Completion is null)
            Assert.True(await deltas.MoveNextAsync());
        Assert.Equal("first second", deltas.Current.Completion.Text);
    }

    [Fact]
    public async Task Stream_EndsWithoutDone_IsUnavailableAndNeverASilentEnd() =>
        Assert.Equal(InferenceFailure.Unavailable, await BrokenStreamAsync(
            (context, _) => FakeInference.Event(context, FakeInference.Chunk("a"))));

    [Fact]
    public async Task Stream_DoneWithoutFinishReason_IsUnavailable() =>
        Assert.Equal(InferenceFailure.Unavailable, await BrokenStreamAsync(async (context, _) =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("a"));
            await FakeInference.Event(context, "[DONE]");
        }));

    [Fact]
    public async Task Stream_ConnectionCut_IsUnavailable() =>
        Assert.Equal(InferenceFailure.Unavailable, await BrokenStreamAsync(async (context, read) =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("a"));
            await read.WaitAsync(context.RequestAborted);
            context.Abort();
        }));

    [Fact]
    public async Task Stream_MalformedEvent_IsInvalidAnswer() =>
        Assert.Equal(InferenceFailure.InvalidAnswer, await BrokenStreamAsync(async (context, _) =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("a"));
            await FakeInference.Event(context, "{oops");
        }));

    [Theory]
    [InlineData("429", InferenceFailure.RateLimited)]
    [InlineData("\"invalid_request_error\"", InferenceFailure.BadRequest)]
    [InlineData("null", InferenceFailure.Unavailable)]
    public async Task Stream_ErrorEvent_ThrowsItsKind(string code, InferenceFailure kind) =>
        Assert.Equal(kind, await BrokenStreamAsync(async (context, _) =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("a"));
            await FakeInference.Event(context, $$$"""{"error":{"message":"boom","type":"x","param":null,"code":{{{code}}}}}""");
        }));

    [Fact]
    public async Task Stream_GoesQuiet_IsTimeout()
    {
        var clock = new SteppedClock();
        var quiet = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var broken = BrokenStreamAsync(
            async (context, read) =>
            {
                await FakeInference.Event(context, FakeInference.Chunk("a"));
                await read.WaitAsync(context.RequestAborted);
                quiet.SetResult();
                await NeverAsync(context);
            },
            clock);
        await quiet.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

        await clock.AdvanceUntilAsync(TimeSpan.FromSeconds(10), () => broken.IsCompleted);

        Assert.Equal(InferenceFailure.Timeout, await broken);
    }

    [Fact]
    public async Task Options_OutOfRange_StopTheStartNamingTheKey()
    {
        using var host = new InferenceHost(FakeInference.NowhereAddress(), ("Inference:Client:IdleTimeout", "00:00:00"));

        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Cancellation));

        Assert.Contains("Inference:Client:IdleTimeout", failure.Message, StringComparison.Ordinal);
    }

    private static async Task<InferenceFailure> BrokenStreamAsync(Func<HttpContext, Task, Task> answer, TimeProvider? clock = null)
    {
        await using var fake = await FakeInference.StartAsync();
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        fake.Answer = context => answer(context, read.Task);
        using var host = new InferenceHost(fake.Address, clock ?? TimeProvider.System);
        var pieces = new List<string>();

        var failure = await Assert.ThrowsAsync<InferenceException>(async () =>
        {
            await foreach (var delta in host.Client.StreamChatAsync(Question, Cancellation))
            {
                pieces.Add(delta.Text);
                read.TrySetResult();
            }
        });

        Assert.Equal(["a"], pieces);
        return failure.Kind;
    }

    private static Task NeverAsync(HttpContext context) => Task.Delay(
        Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
}
