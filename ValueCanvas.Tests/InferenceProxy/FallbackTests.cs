using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>What one model declines goes on to the next target, and to no other replica of the same one.</summary>
public sealed class FallbackTests
{
    private const string Context =
        """{"error":{"message":"first: maximum context length","type":"invalid_request_error","""
        + """ "param":null,"code":"context_length_exceeded"}}""";
    private const string Policy = """{"error":{"message":"first","type":"invalid_request_error","param":null,"code":"content_filter"}}""";
    private const string Emptied =
        """{"choices":[{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"content_filter"}]}""";
    private const string EmptiedEvent =
        """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"content_filter"}]}""";
    private const string ErrorEvent =
        """{"error":{"message":"first: maximum context length","type":"BadRequestError","param":null,"code":400}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(400, Context, false)]
    [InlineData(400, Context, true)]
    [InlineData(400, Policy, false)]
    [InlineData(403, Policy, true)]
    [InlineData(200, Emptied, false)]
    [InlineData(0, EmptiedEvent, true)]
    [InlineData(0, ErrorEvent, true)]
    public async Task Declined_ByTheFirstModel_IsAnsweredByTheNextAndNobodyIsBlamed(int status, string body, bool stream)
    {
        await using var pair = await Pair.StartAsync(context => SayAsync(context, status, body), FakeReplica.StreamAsync);

        for (var i = 0; i < 4; i++)
        {
            using var response = await pair.AskAsync(stream);
            Assert.Equal(200, (int)response.StatusCode);
            Assert.Contains("\"content\":\"hello\"", await response.Content.ReadAsStringAsync(Cancel));
            Assert.Equal("together", response.Headers.GetValues("x-valuecanvas-provider").Single());
            Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
            // By this the response cache knows not to keep it under the first one's name.
            Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-fallback").Single());
        }

        Assert.Equal(4, pair.FirstAsked);
        var replicas = pair.Proxy.Services.GetRequiredService<Fleet>().Current.Replicas;
        foreach (var replica in replicas.Where(replica => replica.Provider == "vllm"))
            Assert.Equal((0, 0), (replica.Breakers.All.Sum(breaker => breaker.View(new()).Samples), replica.InFlight));
    }

    [Theory]
    [InlineData(400, Policy)]
    [InlineData(500, "the second's own words")]
    [InlineData(429, "the second's own words")]
    [InlineData(-1, "")]
    public async Task Declined_ByAllOrTheOthersFail_IsAnsweredInTheFirstOnesWords(int status, string body)
    {
        await using var pair = await Pair.StartAsync(
            context => SayAsync(
            context, 400, Context), context => SayAsync(context, status, body));

        using var response = await pair.AskAsync(stream: false);

        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal(Context, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("vllm", response.Headers.GetValues("x-valuecanvas-provider").Single());
        Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
    }

    [Theory]
    [InlineData("Inference:Models:clever:FallbackOn:0", "none")]
    [InlineData("Inference:Models:clever:FallbackOn:0", "content_policy")]
    [InlineData("Inference:Retries:MaxAttempts", "1")]
    public async Task Declined_WhereThatIsFinal_IsTheAnswer(string key, string value)
    {
        await using var pair = await Pair.StartAsync(context => SayAsync(context, 400, Context), FakeReplica.AnswerAsync, (key, value));

        using var response = await pair.AskAsync(stream: false);

        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal(Context, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.False(response.Headers.Contains("x-valuecanvas-fallback"));
    }

    [Fact]
    public async Task AnswerThatWasFiltered_WithNobodyElseToAsk_IsTheAnswer()
    {
        await using var replica = await FakeReplica.StartAsync(context => SayAsync(context, 200, Emptied));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal(Emptied, await response.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task Declined_WhenTheStatusIsOutAlready_IsMarkedInACommentAtTheEnd()
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var pair = await Pair.StartAsync(
            async context =>
            {
                await go.Task.WaitAsync(context.RequestAborted);
                await SayAsync(context, 400, Context);
            },
            FakeReplica.StreamAsync,
            ("Inference:KeepAlive", "00:00:00.05"));

        using var response = await pair.AskAsync(stream: true);
        go.SetResult();
        var text = await response.Content.ReadAsStringAsync(Cancel);

        Assert.False(response.Headers.Contains("x-valuecanvas-fallback"));
        Assert.Contains("\"content\":\"hello\"", text);
        Assert.Single(
            text.Split('\n'),
            line => line.StartsWith(": ", StringComparison.Ordinal) && line.Contains("x-valuecanvas-fallback: 1"));
    }

    [Theory]
    [InlineData("anything")]
    [InlineData("none", "content_policy")]
    public void FallbackOn_MakesNoSense_StopsTheStartAndNamesTheKey(params string[] causes)
    {
        (string, string)[] settings =
        [
            ("Inference:Models:clever:Targets:0", "vllm/default"),
            .. causes.Select((cause, i) => ($"Inference:Models:clever:FallbackOn:{i}", cause)),
        ];

        var failure = Assert.Throws<OptionsValidationException>(() => ProxyHost.Start(["http://127.0.0.1:1"], settings));

        Assert.Contains("Inference:Models:clever:FallbackOn", failure.Message);
    }

    /// <summary>An answer with a status; with 0 a stream of this event, and below that a broken connection.</summary>
    private static async Task SayAsync(HttpContext context, int status, string body)
    {
        if (status > 0)
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(body, context.RequestAborted);
        }
        else if (status == 0)
        {
            await FakeReplica.EventAsync(context, body);
            await FakeReplica.EventAsync(context, "[DONE]");
        }
        else
        {
            context.Abort();
        }
    }

    /// <summary>Two replicas of a first target, and a second target.</summary>
    private sealed class Pair : IAsyncDisposable
    {
        private readonly List<FakeReplica> _first = [];
        private FakeReplica? _second;

        public ProxyHost Proxy { get; private set; } = null!;

        public int FirstAsked => _first.Sum(replica => replica.Received.Count);

        public static async Task<Pair> StartAsync(
            RequestDelegate first, RequestDelegate second, params (string Key, string Value)[] settings)
        {
            var pair = new Pair { _second = await FakeReplica.StartAsync(second) };
            pair._first.AddRange([await FakeReplica.StartAsync(first), await FakeReplica.StartAsync(first)]);
            pair.Proxy = ProxyHost.Start(pair._first.Select(replica => replica.Address),
            [
                ("Inference:Providers:together:Endpoints:0", pair._second.Address),
                ("Inference:Models:clever:Targets:0", "vllm/default"),
                ("Inference:Models:clever:Targets:1", "together/org/hosted-model"),
                .. settings,
            ]);
            return pair;
        }

        public Task<HttpResponseMessage> AskAsync(bool stream) =>
            Proxy.PostAsync(stream ? """{"model":"clever","stream":true}""" : """{"model":"clever"}""");

        public async ValueTask DisposeAsync()
        {
            await Proxy.DisposeAsync();
            foreach (var replica in _first.Append(_second!))
                await replica.DisposeAsync();
        }
    }
}
