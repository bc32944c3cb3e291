using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>Requests that ask the same at the same time, in one instance.</summary>
public sealed class FlightTests : IAsyncLifetime
{
    private const string Body = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""";
    private const string Streamed =
        """{"stream":true,"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user","content":"hi"}]}""";

    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FakeInference _model = null!;
    private CacheInstance _cache = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _model = await FakeInference.StartAsync();
        _model.Answer = SlowlyAsync;
        _cache = await CacheInstance.StartAsync(_model.Address);
    }

    public async ValueTask DisposeAsync()
    {
        _go.TrySetResult();
        await _cache.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    public async Task AThousandAtOnce_MakeOneCall_AndOnePays()
    {
        _model.Answer = WholeAsync;
        var asking = Enumerable.Range(0, 1000).Select(_ => _cache.AskAsync(Body)).ToArray();
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 1);
        _go.SetResult();
        var replies = await Task.WhenAll(asking);

        Assert.Single(_model.Seen);
        Assert.Single(replies, reply => reply.Outcome.Cache == CacheStatus.Miss);
        Assert.All(replies, reply => Assert.Equal(200, reply.Status));
        Assert.All(replies.Where(reply => reply.Outcome.Cache != CacheStatus.Miss), reply => Assert.Equal(0m, reply.Outcome.Cost));
        Assert.All(replies, reply => Assert.Equal(3, reply.Outcome.Usage!.OutputTokens));
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
        await CacheInstance.UntilAsync(() => _cache.Flights.Count == 0);
    }

    [Fact]
    public async Task Follower_ReadsAlongLive_FromTheBeginning()
    {
        using var bound = CacheInstance.Bounded();
        var (leader, _) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        using var one = leader;
        await using var first = await leader.Content.ReadAsStreamAsync(bound.Token);
        await ReadEventAsync(first, bound.Token);

        // The model has said a part and stands still: whoever comes now has the part at once.
        var (follower, call) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        using var other = follower;
        await using var second = await follower.Content.ReadAsStreamAsync(bound.Token);
        Assert.Contains("\"one\"", await ReadEventAsync(second, bound.Token), StringComparison.Ordinal);
        Assert.Equal("COALESCED", follower.Headers.GetValues("x-cache").Single());
        _go.SetResult();

        Assert.Equal(await RestAsync(first, bound.Token), await RestAsync(second, bound.Token));
        Assert.Equal((CacheStatus.Coalesced, true, 2), (call.Outcome.Cache, call.Outcome.IsComplete, call.Outcome.Usage!.OutputTokens));
        Assert.Single(_model.Seen);
    }

    [Fact]
    public async Task LeaderLeaves_FollowersGoOn_AndTheNextOnePays()
    {
        using var bound = CacheInstance.Bounded();
        var (leader, leading) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        var (follower, following) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        using var other = follower;
        await using var stream = await follower.Content.ReadAsStreamAsync(bound.Token);
        await ReadEventAsync(stream, bound.Token);

        leader.Dispose();
        Assert.Equal((CacheStatus.Coalesced, 0m), (leading.Outcome.Cache, leading.Outcome.Cost));
        Assert.Equal(CacheStatus.Miss, following.Outcome.Cache);
        _go.SetResult();

        Assert.EndsWith("data: [DONE]\n\n", await RestAsync(stream, bound.Token), StringComparison.Ordinal);
        Assert.False(_aborted.Task.IsCompleted);
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
    }

    [Fact]
    public async Task LeaderLeaves_BeforeTheAnswerBegins_FollowersGetIt()
    {
        _model.Answer = WholeAsync;
        using var leaving = CacheInstance.Bounded();
        var leader = _cache.SendAsync(Body, cancellationToken: leaving.Token);
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 1);
        var follower = _cache.AskAsync(Body);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leader);
        _go.SetResult();

        var reply = await follower;
        Assert.Equal((200, CacheStatus.Miss), (reply.Status, reply.Outcome.Cache));
        Assert.Single(_model.Seen);
    }

    [Fact]
    public async Task LastReaderLeaves_TheModelIsStopped_AndNothingIsKept()
    {
        using var bound = CacheInstance.Bounded();
        var (one, call) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        var (other, _) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        other.Dispose();
        Assert.False(_aborted.Task.IsCompleted);
        one.Dispose();

        await _aborted.Task.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, Cancel);
        Assert.Equal(CacheStatus.Miss, call.Outcome.Cache);
        await CacheInstance.UntilAsync(() => _cache.Flights.Count == 0);
        Assert.Equal(0, _cache.Memory.Count);
    }

    [Fact]
    public async Task ClientThatLeavesAtTheLastWord_LeavesAWholeAnswer()
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _model.Answer = async context =>
        {
            await FakeInference.Stream(context, "x");
            // As where the connection closes later than the answer.
            await end.Task.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, Cancel);
        };
        using var bound = CacheInstance.Bounded();
        var (response, _) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        await using (var stream = await response.Content.ReadAsStreamAsync(bound.Token))
        {
            while (!(await ReadEventAsync(stream, bound.Token)).Contains("[DONE]", StringComparison.Ordinal))
            {
            }
        }

        end.SetResult();
        await CacheInstance.UntilAsync(() => _cache.Memory.Count == 1);
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
    }

    [Fact]
    public async Task WhoWantsAnotherForm_WaitsForTheWhole_OfTheSameCall()
    {
        using var bound = CacheInstance.Bounded();
        var (leader, _) = await _cache.SendAsync(Streamed, cancellationToken: bound.Token);
        using var one = leader;
        var whole = _cache.AskAsync(Body);
        var withoutUsage = _cache.AskAsync(Streamed.Replace("\"stream_options\":{\"include_usage\":true},", "", StringComparison.Ordinal));
        await CacheInstance.UntilAsync(() => _cache.Flights.Count == 1);
        _go.SetResult();

        var (plain, stream) = (await whole, await withoutUsage);
        var message = JsonDocument.Parse(plain.Text).RootElement.GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("onetwo", message.GetProperty("content").GetString());
        Assert.DoesNotContain("prompt_tokens", stream.Text, StringComparison.Ordinal);
        Assert.Single(_model.Seen);
    }

    [Fact]
    public async Task Failure_IsToldToAllWhoJoined_AndNotToThoseWhoComeLater()
    {
        _model.Answer = async context =>
        {
            await _go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Error(context, 503, "away");
        };
        var asking = Enumerable.Range(0, 20).Select(_ => _cache.AskAsync(Body)).ToArray();
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 1);
        _go.SetResult();
        Assert.All(await Task.WhenAll(asking), reply => Assert.Equal(503, reply.Status));
        Assert.Single(_model.Seen);

        _model.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion("back"));
        Assert.Equal((200, "MISS"), await StatusAsync());
    }

    [Fact]
    public async Task NoConnection_IsToldToAllWhoJoined()
    {
        await using var cache = await CacheInstance.StartAsync(FakeInference.NowhereAddress());
        var asking = Enumerable.Range(0, 5).Select(_ => Record.ExceptionAsync(() => cache.AskAsync(Body)).AsTask()).ToArray();
        Assert.All(await Task.WhenAll(asking), e => Assert.IsType<HttpRequestException>(e));
        await CacheInstance.UntilAsync(() => cache.Flights.Count == 0);
    }

    [Fact]
    public async Task OthersTenants_DoNotJoin()
    {
        _model.Answer = WholeAsync;
        var (one, other) = (_cache.AskAsync(Body, tenant: Guid.NewGuid()), _cache.AskAsync(Body, tenant: Guid.NewGuid()));
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 2);
        _go.SetResult();
        Assert.Equal(("MISS", "MISS"), ((await one).Cache, (await other).Cache));
    }

    /// <summary>The client of Redis hands messages to several threads.</summary>
    [Fact]
    public async Task Steps_OfAnotherInstance_InAnotherOrder_AreReadInTheirs()
    {
        var (key, budget) = (CacheKey.Read(new byte[CacheKey.Bytes]), new FlightBudget(10_000, 10_000));
        using var there = new Flight(key, CacheInstance.Tenant, default, budget);
        using var here = new Flight(key, CacheInstance.Tenant, default, budget);
        FlightPart[] parts =
        [
            new() { Head = new FlightHead(200, [], []) },
            new() { Bytes = "Hel"u8.ToArray() },
            new() { Bytes = "lo."u8.ToArray() },
            new() { IsEnd = true },
        ];
        var told = _cache.Require<FlightExchange>().Listen(there.Id);
        foreach (var number in (int[])[2, 0, 3, 1])
        {
            var content = _cache.Require<StepFormat>().Write(there, number, parts[number]);
            Assert.True(told.Writer.TryWrite(new(MessageKind.Step, there.Id, Guid.NewGuid(), number, content)));
        }

        var read = "";
        Assert.Equal(Followed.Whole, await _cache.Require<FlightFollower>()
            .FollowAsync(
                here, new(Guid.NewGuid(), there.Id), () => false,
                part => read += part.Head is null ? Encoding.UTF8.GetString(part.Bytes.Span) : "head: ")
            .WaitAsync(TimeSpan.FromSeconds(30), Cancel));

        Assert.Equal("head: Hello.", read);
    }

    [Fact]
    public async Task AnswerTooLargeToBeKeptForOthers_FlowsBy_AtTheReadersPace()
    {
        const int Events = 400;
        await using var cache = await CacheInstance.StartAsync(_model.Address, settings: ("ResponseCache:MaxFlightBytes", "100000"));
        _model.Answer = async context =>
        {
            for (var i = 0; i < Events; i++)
                await FakeInference.Event(context, FakeInference.Chunk(new string('x', 20_000)));
            await FakeInference.Event(context, "[DONE]");
        };
        using var bound = CacheInstance.Bounded();
        var (response, _) = await cache.SendAsync(Streamed, cancellationToken: bound.Token);
        using (response)
        {
            await using var stream = await response.Content.ReadAsStreamAsync(bound.Token);
            await ReadEventAsync(stream, bound.Token);
            Assert.Equal(Events, (await RestAsync(stream, bound.Token)).Split("data: {").Length);
        }

        Assert.Equal(0, cache.Memory.Count);
    }

    private async Task<(int, string)> StatusAsync()
    {
        var reply = await _cache.AskAsync(Body);
        return (reply.Status, reply.Cache);
    }

    private async Task SlowlyAsync(HttpContext context)
    {
        context.RequestAborted.Register(() => _aborted.TrySetResult());
        await FakeInference.Event(context, FakeInference.Chunk("one"));
        await _go.Task.WaitAsync(context.RequestAborted);
        await FakeInference.Event(context, FakeInference.Chunk("two", "stop"));
        await FakeInference.Event(context, FakeInference.UsageChunk());
        await FakeInference.Event(context, "[DONE]");
    }

    private async Task WholeAsync(HttpContext context)
    {
        await _go.Task.WaitAsync(context.RequestAborted);
        await FakeInference.Text(context, 200, FakeInference.Completion("whole"));
    }

    private static async Task<string> ReadEventAsync(Stream stream, CancellationToken cancellationToken)
    {
        var bytes = new List<byte>();
        var one = new byte[1];
        while (await stream.ReadAsync(one, cancellationToken) == 1)
        {
            bytes.Add(one[0]);
            if (bytes is [.., (byte)'\n', (byte)'\n'])
                break;
        }

        return System.Text.Encoding.UTF8.GetString([.. bytes]);
    }

    private static async Task<string> RestAsync(Stream stream, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(stream, leaveOpen: true);
        return await reader.ReadToEndAsync(cancellationToken);
    }
}
