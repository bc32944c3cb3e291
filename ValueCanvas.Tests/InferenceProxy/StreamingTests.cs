using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class StreamingTests
{
    private const string Ask = """{"model":"default","stream":true}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_EachEvent_ReachesTheClientBeforeTheNextIsSent()
    {
        using var next = new SemaphoreSlim(0);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            for (var i = 0; i < 5; i++)
            {
                await FakeReplica.EventAsync(context, $"{{\"n\":{i}}}");
                await next.WaitAsync(context.RequestAborted);
            }

            await FakeReplica.EventAsync(context, "[DONE]");
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal($"data: {{\"n\":{i}}}", await LineAsync(reader));
            Assert.Equal("", await LineAsync(reader));
            next.Release();
        }

        Assert.Equal("data: [DONE]\n\n", await reader.ReadToEndAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public async Task Stream_EventsInAnyPieces_ArriveByteForByte(string newline)
    {
        var events = new StringBuilder();
        foreach (var size in new[] { 3, 40_000, 17, 16_384, 100_000, 1 })
            events.Append("data: {\"n\":\"").Append('ü', size).Append("\"}").Append(newline).Append(newline);

        events.Append(": comment").Append(newline).Append(newline).Append("data: [DONE]").Append(newline).Append(newline);
        var bytes = Encoding.UTF8.GetBytes(events.ToString());
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            context.Response.ContentType = "text/event-stream";
            foreach (var piece in bytes.Chunk(7_001))
            {
                await context.Response.Body.WriteAsync(piece, context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask);
        Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stream_CutInTheMiddle_EndsWithOneErrorEvent(bool insideAnEvent)
    {
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, "{\"n\":1}");
            if (insideAnEvent)
            {
                await context.Response.WriteAsync("data: {\"half", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }

            throw new InvalidOperationException("the server dies"); // Kestrel closes without ending the body
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask);
        var (text, broken) = await ReadBrokenAsync(response);

        Assert.StartsWith("data: {\"n\":1}\n\ndata: {\"error\":{", text);
        Assert.Contains("\"code\":\"stream_interrupted\"", text);
        Assert.DoesNotContain("half", text);
        Assert.DoesNotContain("[DONE]", text);
        Assert.False(broken, "a second sign would be taken for a second failure");
    }

    [Fact]
    public async Task Stream_EndsCleanlyWithoutDone_IsABreak()
    {
        await using var replica = await FakeReplica.StartAsync(context => FakeReplica.EventAsync(context, "{\"n\":1}"));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask);
        var (text, broken) = await ReadBrokenAsync(response);

        Assert.Contains("stream_interrupted", text);
        Assert.False(broken);
    }

    [Fact]
    public async Task Stream_StallsLongerThanTheIdleLimit_IsABreak()
    {
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, "{\"n\":1}");
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        });
        await using var proxy = ProxyHost.Start(replica, ("Inference:IdleTimeout", "00:00:00.3"));

        using var response = await proxy.PostAsync(Ask);
        var (text, broken) = await ReadBrokenAsync(response);

        Assert.Contains("stream_interrupted", text);
        Assert.False(broken);
    }

    [Fact]
    public async Task Stream_SlowerThanTheFirstTokenLimitInAll_IsNotCut()
    {
        var clock = new SteppedClock();
        using var next = new SemaphoreSlim(0);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            for (var i = 0; i < 8; i++)
            {
                await FakeReplica.EventAsync(context, "{}");
                await next.WaitAsync(context.RequestAborted);
            }

            await FakeReplica.EventAsync(context, "[DONE]");
        });
        await using var proxy = ProxyHost.Start(
            clock, [replica.Address],
            ("Inference:FirstTokenTimeout", "00:00:03"), ("Inference:IdleTimeout", "00:00:10"), ("Inference:ProbeInterval", "12:00:00"));

        using var response = await proxy.PostAsync(Ask);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        for (var i = 0; i < 8; i++)
        {
            Assert.Equal("data: {}", await LineAsync(reader));
            Assert.Equal("", await LineAsync(reader));
            clock.Advance(TimeSpan.FromSeconds(1));
            next.Release();
        }

        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ClientLeaves_WhileWaitingOrStreaming_ReplicaSeesItAtOnceAndIsFree(bool streaming)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            using var seen = context.RequestAborted.Register(() => aborted.TrySetResult());
            if (streaming)
                await FakeReplica.EventAsync(context, "{\"n\":1}");

            started.SetResult();
            await aborted.Task;
        });
        await using var proxy = ProxyHost.Start(replica);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);

        var asking = proxy.PostAsync(Ask, cancel: leave.Token);
        await started.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        if (streaming)
        {
            using var response = await asking;
        }
        else
        {
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        }

        await aborted.Task.WaitAsync(TimeSpan.FromSeconds(2), Cancel);
        await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("inFlight").GetInt32() == 0);
        Assert.Equal("up", (await proxy.ReplicaAsync(0)).GetProperty("state").GetString());
    }

    [Fact]
    public async Task Answer_NotStreamedAndLongerThanTheTotalLimit_Is504()
    {
        await using var replica = await FakeReplica.StartAsync(
            context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));
        await using var proxy = ProxyHost.Start(replica, ("Inference:TotalTimeout", "00:00:00.3"));

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("upstream_timeout", (await response.ErrorAsync()).GetProperty("code").GetString());
    }

    private static async Task<string?> LineAsync(StreamReader reader) =>
        await reader.ReadLineAsync(Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel);

    /// <summary>Reads to the end, and says whether that end was a broken connection.</summary>
    private static async Task<(string Text, bool Broken)> ReadBrokenAsync(HttpResponseMessage response)
    {
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        using var text = new MemoryStream();
        var failure = await Record.ExceptionAsync(() => body.CopyToAsync(text, Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        return (Encoding.UTF8.GetString(text.ToArray()), failure is IOException);
    }
}
