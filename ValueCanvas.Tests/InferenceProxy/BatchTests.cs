using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class BatchTests
{
    private const string Path = "/v1/chat/completions/batch";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Batch_AnswersInOrder_WithBoundedConcurrency()
    {
        var (running, most) = (0, 0);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            var now = Interlocked.Increment(ref running);
            InterlockedMax(ref most, now);
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, context.RequestAborted);
            Interlocked.Decrement(ref running);
            await EchoAsync(context);
        });
        await using var proxy = ProxyHost.Start(replica);
        var requests = Enumerable.Range(0, 30).Select(i => new { model = "default", n = i });

        var answer = await OkAsync(proxy, JsonSerializer.Serialize(new { requests, max_concurrency = 4 }));

        var results = answer.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(Enumerable.Range(0, 30), results.Select(result => result.GetProperty("index").GetInt32()));
        Assert.Equal(Enumerable.Range(0, 30), results.Select(
            result => result.GetProperty("body").GetProperty("echo").GetProperty("n").GetInt32()));
        Assert.All(results, result => Assert.Equal(200, result.GetProperty("status").GetInt32()));
        Assert.InRange(most, 2, 4);
    }

    [Fact]
    public async Task Batch_OneFails_TheOthersDoNot()
    {
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            var text = await ReadAsync(context);
            if (text.Contains("refuse", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 422;
                await context.Response.WriteAsync("not json", Cancel);
            }
            else if (text.Contains("break", StringComparison.Ordinal))
            {
                context.Response.ContentLength = 100_000; // and then fewer: the server closes the connection
                await context.Response.WriteAsync(new string('x', 50_000), Cancel);
            }
            else
            {
                await FakeReplica.AnswerAsync(context);
            }
        });
        await using var proxy = ProxyHost.Start(replica);

        var answer = await OkAsync(proxy, """
            {"requests":[{"model":"default"},{"model":"unknown"},{"model":"default","x":"refuse"},{"model":"default","x":"break"},
            {"model":"default","stream":true},{},[],"text",null,{"model":"default"}]}
            """);

        var results = answer.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal([200, 404, 422, 502, 400, 400, 400, 400, 400, 200], results.Select(result => result.GetProperty("status").GetInt32()));
        Assert.Equal("not json", results[2].GetProperty("body").GetString());
        Assert.Equal("answer_interrupted", Code(results[3]));
        Assert.Equal("model_not_found", Code(results[1]));
        Assert.Equal("stream", results[4].GetProperty("body").GetProperty("error").GetProperty("param").GetString());

        static string? Code(JsonElement result) => result.GetProperty("body").GetProperty("error").GetProperty("code").GetString();
    }

    [Fact]
    public async Task Batch_AnswersTooLargeTogether_SaysSoForThoseThatDoNotFit()
    {
        await using var replica = await FakeReplica.StartAsync(
            context => context.Response.WriteAsync($"\"{new string('x', 600)}\"", Cancel));
        await using var proxy = ProxyHost.Start(replica, ("Inference:Batch:MaxAnswerBytes", "1024"));

        var answer = await OkAsync(proxy, """{"requests":[{"model":"default"},{"model":"default"}],"max_concurrency":1}""");

        Assert.Equal([200, 502], answer.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("status").GetInt32()));
    }

    [Fact]
    public async Task Batch_ClientLeaves_NothingGoesOn()
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            reached.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        });
        await using var proxy = ProxyHost.Start(replica);
        using var leave = new CancellationTokenSource();

        var batch = proxy.PostAsync("""{"requests":[{"model":"default"},{"model":"default"}],"max_concurrency":1}""", Path, leave.Token);
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => batch);
        await aborted.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Single(replica.Received);
    }

    [Theory]
    [InlineData("[]", null)]
    [InlineData("{", null)]
    [InlineData("{}", "requests")]
    [InlineData("""{"requests":[]}""", "requests")]
    [InlineData("""{"requests":7}""", "requests")]
    [InlineData("""{"requests":[1,2,3,4]}""", "requests")]
    [InlineData("""{"requests":[{}],"max_concurrency":0}""", "max_concurrency")]
    [InlineData("""{"requests":[{}],"max_concurrency":65}""", "max_concurrency")]
    [InlineData("""{"requests":[{}],"max_concurrency":"two"}""", "max_concurrency")]
    [InlineData("""{"requests":[{}]} more""", null)]
    public async Task Batch_MakesNoSense_400SaysWhy(string body, string? param)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:Batch:MaxRequests", "3"));

        using var response = await proxy.PostAsync(body, Path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(param, (await response.ErrorAsync()).GetProperty("param").GetString());
        Assert.Empty(replica.Received);
    }

    private static async Task<JsonElement> OkAsync(ProxyHost proxy, string body)
    {
        using var response = await proxy.PostAsync(body, Path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
    }

    private static async Task EchoAsync(HttpContext context)
    {
        var text = await ReadAsync(context);
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync($$"""{"echo":{{text}}}""", context.RequestAborted);
    }

    // The fake has read the body already and keeps it; a copy is what the answer is made of.
    private static Task<string> ReadAsync(HttpContext context) => Task.FromResult(
        Encoding.UTF8.GetString((byte[])context.Items[FakeReplica.BodyItem]!));

    private static void InterlockedMax(ref int most, int value)
    {
        var seen = Volatile.Read(ref most);
        while (value > seen && Interlocked.CompareExchange(ref most, value, seen) != seen)
            seen = Volatile.Read(ref most);
    }
}
