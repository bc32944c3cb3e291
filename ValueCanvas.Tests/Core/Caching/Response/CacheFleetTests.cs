using System.Net;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using StackExchange.Redis;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>Two instances with one Redis, and what becomes of them when it is away, frozen, emptied and back.</summary>
public sealed class CacheFleetTests(ServersFixture servers) : IAsyncLifetime
{
    private const string Body = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""";
    private const string Streamed =
        """{"stream":true,"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user","content":"hi"}]}""";

    // A machine with other work must not make an answer of Redis late where it is not about that.
    private static readonly (string Key, string Value)[] Patient =
    [
        ("ResponseCache:RedisTimeout", "00:00:10"), ("ResponseCache:FlightSilence", "00:00:20"), ("ResponseCache:FlightLease", "00:00:20"),
    ];

    private readonly string _prefix = $"cache-{Guid.NewGuid():N}";
    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FakeInference _model = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _model = await FakeInference.StartAsync();

    public async ValueTask DisposeAsync()
    {
        _go.TrySetResult();
        await _model.DisposeAsync();
    }

    [Fact]
    public async Task AThousandAtOnce_OnTwoInstances_MakeOneCall_AndOnePays()
    {
        await using var one = await StartAsync(servers.Redis);
        await using var other = await StartAsync(servers.Redis);
        _model.Answer = async context =>
        {
            await _go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Text(context, 200, FakeInference.Completion("whole"));
        };
        var asking = Enumerable.Range(0, 1000).Select(i => (i % 2 == 0 ? one : other).AskAsync(Body)).ToArray();
        await CacheInstance.UntilAsync(() => !_model.Seen.IsEmpty && one.Flights.Count == 1 && other.Flights.Count == 1);
        _go.SetResult();
        var replies = await Task.WhenAll(asking);

        Assert.Single(_model.Seen);
        Assert.All(replies, reply => Assert.Equal(200, reply.Status));
        Assert.Single(replies, reply => reply.Outcome.Cache == CacheStatus.Miss);
        Assert.All(replies, reply => Assert.Contains("whole", reply.Text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Answer_OfOneInstance_IsAHitInTheOther_AndNotReadableInRedis()
    {
        await using var one = await StartAsync(servers.Redis);
        await using var other = await StartAsync(servers.Redis);
        var secret = new string('s', 2000) + "-secret-of-the-tenant";
        _model.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion(secret));
        await one.AskAsync(Body);
        await UntilStoredAsync();

        var hit = await other.AskAsync(Streamed);
        Assert.Equal(("HIT", 1, 0m), (hit.Cache, _model.Seen.Count, hit.Outcome.Cost));
        Assert.Contains("-secret-of-the-tenant", hit.Text, StringComparison.Ordinal);

        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        var name = (await KeysAsync(redis)).Single(key => !key.EndsWith(":flight", StringComparison.Ordinal));
        var value = (byte[])(await redis.GetDatabase().StringGetAsync(name))!;
        Assert.DoesNotContain("secret", Encoding.Latin1.GetString(value), StringComparison.Ordinal);
        Assert.DoesNotContain("fake-model", Encoding.Latin1.GetString(value), StringComparison.Ordinal);
        Assert.InRange(await redis.GetDatabase().KeyTimeToLiveAsync(name) ?? default, TimeSpan.FromDays(7.9), TimeSpan.FromDays(8.1));
    }

    [Fact]
    public async Task AnswerMovedToAnotherTenant_InRedis_IsNotGivenOut()
    {
        await using var one = await StartAsync(servers.Redis);
        var (mine, foreign) = (Guid.NewGuid(), Guid.NewGuid());
        await one.AskAsync(Body, tenant: mine);
        await UntilStoredAsync();
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        var from = Assert.Single(await AnswersAsync(redis));
        await one.AskAsync(Body, tenant: foreign);
        await CacheInstance.UntilAsync(async () => (await AnswersAsync(redis)).Count == 2);
        var to = (await AnswersAsync(redis)).Single(key => key != from);
        await redis.GetDatabase().StringSetAsync(to, await redis.GetDatabase().StringGetAsync(from));

        await using var other = await StartAsync(servers.Redis);
        Assert.Equal("MISS", (await other.AskAsync(Body, tenant: foreign)).Cache);
        Assert.Equal("HIT", (await other.AskAsync(Body, tenant: mine)).Cache);
    }

    [Theory]
    [InlineData("a-secret-between-the-services")]
    [InlineData("")]
    public void Kept_ForOneTenantAndKey_OpensForNoOther(string secret)
    {
        var format = new AnswerFormat(new Seal(secret), 10_000);
        var answer = CachedAnswers.Make(Guid.NewGuid(), new CacheKey(1, 2), json: """{"id":"chatcmpl-1","x":"y"}""");
        var value = format.Write(answer);

        var read = format.Read(value, answer.TenantId, answer.Key);
        Assert.NotNull(read);
        Assert.Equal(
            (answer.Id, answer.Model, answer.CreatedAt, answer.ExpiresAt, answer.Epoch, Encoding.UTF8.GetString(answer.Json),
                answer.IdPlace, answer.Usage),
            (read.Id, read.Model, read.CreatedAt, read.ExpiresAt, read.Epoch, Encoding.UTF8.GetString(read.Json),
                read.IdPlace, read.Usage));
        Assert.Equal(answer.TagHashes, read.TagHashes);
        Assert.Null(format.Read(value, Guid.NewGuid(), answer.Key));
        Assert.Null(format.Read(value, answer.TenantId, new CacheKey(1, 3)));
        Assert.Null(format.Read(value[..^1], answer.TenantId, answer.Key));
        Assert.Null(format.Read([], answer.TenantId, answer.Key));
        Assert.Null(new AnswerFormat(new Seal("another"), 10_000).Read(value, answer.TenantId, answer.Key));
        if (secret.Length > 0)
        {
            for (var i = 0; i < value.Length; i++)
            {
                var changed = value.ToArray();
                changed[i] ^= 1;
                Assert.Null(format.Read(changed, answer.TenantId, answer.Key));
            }
        }
    }

    [Fact]
    public async Task OtherInstance_ReadsAlongLive_AndPaysWhenTheFirstLeaves()
    {
        await using var one = await StartAsync(servers.Redis);
        await using var other = await StartAsync(servers.Redis);
        _model.Answer = SlowlyAsync;
        using var bound = CacheInstance.Bounded();
        var (leader, leading) = await one.SendAsync(Streamed, cancellationToken: bound.Token);
        var (follower, following) = await other.SendAsync(Streamed, cancellationToken: bound.Token);
        using var reading = follower;
        await using var stream = await follower.Content.ReadAsStreamAsync(bound.Token);
        var start = new byte[10];
        await stream.ReadExactlyAsync(start, bound.Token);
        Assert.Equal("COALESCED", follower.Headers.GetValues("x-cache").Single());

        // A part has come here, too; then nobody reads any more where the model is asked.
        leader.Dispose();
        Assert.Equal((CacheStatus.Coalesced, 0m), (leading.Outcome.Cache, leading.Outcome.Cost));
        _go.SetResult();
        using var rest = new StreamReader(stream);
        var text = Encoding.UTF8.GetString(start) + await rest.ReadToEndAsync(bound.Token);

        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        Assert.Contains("\"one\"", text, StringComparison.Ordinal);
        Assert.Equal(
            (CacheStatus.Miss, 2, true),
            (following.Outcome.Cache, following.Outcome.Usage!.OutputTokens, following.Outcome.IsComplete));
        Assert.Single(_model.Seen);
    }

    [Fact]
    public async Task Redis_Frozen_InTheMiddleOfAStreamFromElsewhere_TheSameIsGoneOnWithFromTheModel()
    {
        var (proxy, redis) = InFrontOfRedis();
        await using var front = proxy;
        await using var one = await StartAsync(servers.Redis);
        // Noticed by its silence.
        await using var other = await StartAsync(redis, ("ResponseCache:RedisTimeout", "00:00:02"));
        var calls = 0;
        _model.Answer = context =>
        {
            var id = $"chatcmpl-{Interlocked.Increment(ref calls)}";
            return SlowlyAsync(context, id);
        };
        var deterministic = Streamed.Replace("{\"stream\"", "{\"temperature\":0,\"stream\"", StringComparison.Ordinal);
        using var bound = CacheInstance.Bounded();
        var (leader, leading) = await one.SendAsync(deterministic, cancellationToken: bound.Token);
        var (follower, following) = await other.SendAsync(deterministic, cancellationToken: bound.Token);
        using var reading = follower;
        await using var stream = await follower.Content.ReadAsStreamAsync(bound.Token);
        var start = new byte[10];
        await stream.ReadExactlyAsync(start, bound.Token);

        proxy.Freeze();
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 2);
        _go.SetResult();
        using var rest = new StreamReader(stream);
        var text = Encoding.UTF8.GetString(start) + await rest.ReadToEndAsync(bound.Token);

        Assert.Equal(await leader.Content.ReadAsStringAsync(bound.Token), text);
        Assert.Equal(3, text.Split("chatcmpl-1").Length - 1);
        // Each has paid for a call of its own.
        Assert.Equal(
            (CacheStatus.Miss, CacheStatus.Miss, true),
            (leading.Outcome.Cache, following.Outcome.Cache, following.Outcome.IsComplete));
        proxy.Thaw();
    }

    [Fact]
    public async Task Reader_WhoseMessagesComeInAnyOrder_IsSentWhatItLacks()
    {
        await using var one = await StartAsync(servers.Redis);
        _model.Answer = SlowlyAsync;
        using var bound = CacheInstance.Bounded();
        var (leader, _) = await one.SendAsync(Streamed, cancellationToken: bound.Token);
        using var leading = leader;
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        var name = (await KeysAsync(redis)).Single(key => key.EndsWith(":flight", StringComparison.Ordinal));
        var there = FlightName.Read((byte[])(await redis.GetDatabase().StringGetAsync(name))!);
        // It is over as soon as the model has said all, and goes on to be sent.
        var flight = one.Flights.Find(there.Flight)!;
        var (me, told) = (Guid.NewGuid(), Channel.CreateUnbounded<ExchangeMessage>());
        await redis.GetSubscriber().SubscribeAsync(ChannelOf(me), (_, value) =>
        {
            if (ExchangeMessage.Read((byte[]?)value) is { Kind: MessageKind.Step } step)
                told.Writer.TryWrite(step);
        });

        // It had the head from an earlier sender; then what it said last comes before what it said first.
        await WantAsync(1);
        Assert.Contains("\"one\"", Encoding.UTF8.GetString((await StepAsync(1)).Bytes.Span), StringComparison.Ordinal);
        await WantAsync(2);
        await WantAsync(0);
        _go.SetResult();
        Assert.Contains("\"two\"", Encoding.UTF8.GetString((await StepAsync(2)).Bytes.Span), StringComparison.Ordinal);

        Task WantAsync(int number) => redis.GetSubscriber().PublishAsync(
            ChannelOf(there.Instance), new ExchangeMessage(MessageKind.Want, there.Flight, me, number).ToBytes());

        async Task<FlightPart> StepAsync(int number)
        {
            while (true)
            {
                var step = await told.Reader.ReadAsync(bound.Token);
                if (step.Number == number)
                    return one.Require<StepFormat>().Read(flight, there.Flight, number, step.Content, out _)!;
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Redis_LostOrFrozen_BeforeAStreamFromElsewhereHasSaidAnything_TheModelIsAsked(bool isLost)
    {
        var (proxy, redis) = InFrontOfRedis();
        await using var front = proxy;
        await using var one = await StartAsync(servers.Redis);
        await using var other = await StartAsync(
            redis, ("ResponseCache:RedisTimeout", "00:00:02"), ("ResponseCache:FlightSilence", "00:01:00"));
        _model.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.Body.FlushAsync(context.RequestAborted);
            if (_model.Seen.Count == 1)
                await _go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Event(context, FakeInference.Chunk($"call {_model.Seen.Count}", "stop"));
            await FakeInference.Event(context, "[DONE]");
        };
        using var direct = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        var hasHead = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await direct.GetSubscriber().SubscribeAsync(ChannelOf(other.Flights.Instance), (_, value) =>
        {
            if (ExchangeMessage.Read((byte[]?)value) is { Kind: MessageKind.Beat, Number: 1 })
                hasHead.TrySetResult();
        });
        using var bound = CacheInstance.Bounded();
        var (leader, _) = await one.SendAsync(Streamed, cancellationToken: bound.Token);
        using var leading = leader;
        var following = other.AskAsync(Streamed);
        await hasHead.Task.WaitAsync(bound.Token);

        if (isLost)
            await proxy.DisposeAsync();
        else
            proxy.Freeze();
        var reply = await following;

        Assert.Equal((200, CacheStatus.Miss, true), (reply.Status, reply.Outcome.Cache, reply.Outcome.IsComplete));
        Assert.Contains("call 2", reply.Text, StringComparison.Ordinal);
        proxy.Thaw();
    }

    [Fact]
    public async Task InstanceThatAsks_IsGone_BeforeTheAnswerBegins_AnotherAsks()
    {
        await using var other = await StartAsync(servers.Redis, ("ResponseCache:FlightSilence", "00:00:01"));
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        _model.Answer = async context =>
        {
            if (_model.Seen.Count == 1)
                await _go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Text(context, 200, FakeInference.Completion("whole"));
        };
        // Its messages go nowhere: as where the process was killed, and its right to ask still stands in Redis.
        await using (var first = await StartAsync(servers.Redis))
        {
            _ = first.AskAsync(Body).ContinueWith(_ => { }, Cancel, TaskContinuationOptions.None, TaskScheduler.Default);
            await CacheInstance.UntilAsync(() => _model.Seen.Count == 1);
            var flight = (await KeysAsync(redis)).Single(key => key.EndsWith(":flight", StringComparison.Ordinal));
            await redis.GetDatabase().StringSetAsync(
                flight,
                new FlightName(Guid.NewGuid(), Guid.NewGuid()).ToBytes(),
                TimeSpan.FromSeconds(1));

            var reply = await other.AskAsync(Body);
            Assert.Equal((200, CacheStatus.Miss), (reply.Status, reply.Outcome.Cache));
            _go.SetResult();
        }

        Assert.Equal(2, _model.Seen.Count);
    }

    [Fact]
    public async Task Redis_Frozen_AddsLittle_AndNothingFails_AndItIsUsedAgain()
    {
        var (proxy, redis) = InFrontOfRedis();
        await using var front = proxy;
        await using var cache = await StartAsync(redis);
        await cache.AskAsync(Body);
        proxy.Freeze();

        var waits = new List<TimeSpan>();
        for (var i = 0; i < 40; i++)
        {
            var started = cache.Clock.GetTimestamp();
            var reply = await cache.AskAsync(Other(i));
            waits.Add(cache.Clock.GetElapsedTime(started));
            Assert.Equal((200, "MISS"), (reply.Status, reply.Cache));
            Assert.Equal("HIT", (await cache.AskAsync(Other(i))).Cache);
        }

        // The first few wait for the timeout, the others for nothing. The median leaves out what a busy machine adds.
        Assert.False(cache.Require<RedisLevel>().IsAsked);
        waits.Sort();
        Assert.InRange(waits[waits.Count / 2], TimeSpan.Zero, TimeSpan.FromMilliseconds(50));
        proxy.Thaw();
        await CacheInstance.UntilAsync(() => cache.Require<RedisLevel>().IsAsked);
    }

    [Fact]
    public async Task Redis_Killed_Restarted_Flushed_UnderLoad_NothingFails()
    {
        await using var own = await Servers.StartAsync(Cancel);
        await using var one = await StartAsync(own.Redis);
        await using var other = await StartAsync(own.Redis);
        using var stop = new CancellationTokenSource();
        var (asked, failed) = (0, 0);
        var load = Enumerable.Range(0, 8).Select(client => Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var reply = await (i % 2 == 0 ? one : other).AskAsync(Other(i % 50 + client / 4 * 1000));
                Interlocked.Increment(ref asked);
                if (reply.Status != 200)
                    Interlocked.Increment(ref failed);
            }
        })).ToArray();

        await own.StopRedisAsync(Cancel);
        var before = Volatile.Read(ref asked);
        await CacheInstance.UntilAsync(() => Volatile.Read(ref asked) > before + 100);
        await own.StartRedisAsync(Cancel);
        await CacheInstance.UntilAsync(() => one.Require<RedisLevel>().IsAsked && other.Require<RedisLevel>().IsAsked);
        using (var redis = await ConnectionMultiplexer.ConnectAsync(own.Redis))
            await redis.GetDatabase().ExecuteAsync("FLUSHALL");
        before = Volatile.Read(ref asked);
        await CacheInstance.UntilAsync(() => Volatile.Read(ref asked) > before + 100);
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.Equal(0, failed);
        Assert.Equal("MISS", (await one.AskAsync(Other(99_999))).Cache);
        await CacheInstance.UntilAsync(async () => (await other.AskAsync(Other(99_999))).Cache == "HIT");
    }

    [Fact]
    public async Task WithoutRedis_ByVariable_EachInstanceKeepsItsOwn()
    {
        await using var one = await CacheInstance.StartAsync(
            _model.Address,
            settings: [("REDIS_ENABLED", "false"), ("ConnectionStrings:cache", servers.Redis)]);
        Assert.Equal("MISS", (await one.AskAsync(Body)).Cache);
        Assert.Equal("HIT", (await one.AskAsync(Body)).Cache);
        Assert.Null(one.Find<IConnectionMultiplexer>());
    }

    private static string Other(int i) => Body.Replace("hi", $"number {i}", StringComparison.Ordinal);

    private Task<CacheInstance> StartAsync(string redis, params (string Key, string Value)[] settings) => CacheInstance.StartAsync(
        _model.Address, redis, settings: [("ResponseCache:Prefix", _prefix), .. redis == servers.Redis ? Patient : [], .. settings]);

    private async Task UntilStoredAsync()
    {
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        await CacheInstance.UntilAsync(async () =>
            await KeysAsync(redis) is [.., _] keys && !keys.Exists(key => key.EndsWith(":flight", StringComparison.Ordinal)));
    }

    private async Task<List<string>> AnswersAsync(ConnectionMultiplexer redis) =>
        (await KeysAsync(redis)).FindAll(key => !key.EndsWith(":flight", StringComparison.Ordinal));

    private async Task<List<string>> KeysAsync(ConnectionMultiplexer redis)
    {
        var reply = (string[]?)await redis.GetDatabase().ExecuteAsync("KEYS", $"{_prefix}:cache:*");
        return [.. reply ?? []];
    }

    private Task SlowlyAsync(HttpContext context) => SlowlyAsync(context, "chatcmpl-1");

    private async Task SlowlyAsync(HttpContext context, string id)
    {
        await FakeInference.Event(context, Named(FakeInference.Chunk("one")));
        await _go.Task.WaitAsync(context.RequestAborted);
        await FakeInference.Event(context, Named(FakeInference.Chunk("two", "stop")));
        await FakeInference.Event(context, Named(FakeInference.UsageChunk()));
        await FakeInference.Event(context, "[DONE]");

        string Named(string chunk) => chunk.Replace("chatcmpl-1", id, StringComparison.Ordinal);
    }

    private RedisChannel ChannelOf(Guid instance) => new($"{_prefix}:cache:to:{instance:N}", RedisChannel.PatternMode.Literal);

    private (FreezingProxy Proxy, string Redis) InFrontOfRedis()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (host, port) = direct.EndPoints[0] switch
        {
            DnsEndPoint dns => (dns.Host, dns.Port),
            IPEndPoint ip => (ip.Address.ToString(), ip.Port),
            var unknown => throw new NotSupportedException($"{unknown}"),
        };
        var proxy = new FreezingProxy(host, port);
        return (proxy, $"127.0.0.1:{proxy.Port},password={direct.Password}");
    }
}
