using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Jobs;

/// <summary>The events of jobs, from Redis and without it; the test does by hand what a worker does.</summary>
public sealed class JobEventsTests(JobEventsTests.Shared shared) : IClassFixture<JobEventsTests.Shared>
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Watch_TextThatComes_IsTheSameFromRedisAndPostgreSql_AndEqualsTheResult(bool redis)
    {
        var api = redis ? shared.WithRedis : shared.WithoutRedis;
        var job = await ClaimedAsync();
        await WriteAsync(job, JobText.None.Begin(job.RunLease, keep: false), "", "Grüße", redis);

        using var stream = await OpenAsync(api, job.Id);
        var events = EventsOf(stream);
        Assert.Equal("state", (await NextAsync(events)).EventType);
        var first = await NextAsync(events);
        Assert.Equal(("delta", $"{job.RunLease}.7", "Grüße"), (first.EventType, first.EventId, TextOf(first)));
        await WriteAsync(job, JobText.None.Begin(job.RunLease, keep: false), "Grüße", ", Welt", redis);
        var second = await NextAsync(events);
        Assert.Equal(("delta", $"{job.RunLease}.13", ", Welt"), (second.EventType, second.EventId, TextOf(second)));

        await shared.Leases.CompleteAsync(job, """{"response":"Grüße, Welt!","model":"m"}""", null, Cancel);
        var rest = await ToEndAsync(events);
        Assert.Equal("!", string.Concat(rest.Where(item => item.EventType == "delta").Select(TextOf)));
        Assert.Equal(("done", $"{job.RunLease}.14"), (rest[^1].EventType, rest[^1].EventId));

        // Whoever comes later, from wherever it stopped, has the same text.
        string?[] stops = [null, first.EventId, second.EventId, $"{job.RunLease}.14", "nonsense", $"{job.RunLease}.3", "99.2"];
        foreach (var last in stops)
        {
            using var replay = await OpenAsync(api, job.Id, last);
            var all = await ToEndAsync(EventsOf(replay));
            var known =
                last == first.EventId ? "Grüße"
                : last == second.EventId ? "Grüße, Welt"
                : last?.EndsWith(".14", StringComparison.Ordinal) is true ? "Grüße, Welt!"
                : "";
            Assert.Equal("Grüße, Welt!", Follow(known, all));
            Assert.Equal(
                last is not null && (last.EndsWith(".3", StringComparison.Ordinal) || last == "99.2"),
                all.Any(item => item.EventType == "reset"));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Watch_AttemptStartsOver_ResetsAndTellsTheNewText(bool redis)
    {
        var api = redis ? shared.WithRedis : shared.WithoutRedis;
        var job = await ClaimedAsync();
        var start = JobText.None.Begin(job.RunLease, keep: false);
        await WriteAsync(job, start, "", "first try", redis);
        using var stream = await OpenAsync(api, job.Id);
        var events = EventsOf(stream);
        while ((await NextAsync(events)).EventType != "delta")
        {
        }

        await shared.Leases.RetryAsync(job, new("timeout", "Late."), TimeSpan.Zero, Cancel);
        var again = Assert.Single(await shared.Leases.ClaimAsync("w", 1, Long, Cancel));
        await WriteAsync(again, (start with { Text = "first try" }).Begin(again.RunLease, keep: false), "", "second", redis);
        await shared.Leases.CompleteAsync(again, """{"response":"second"}""", null, Cancel);

        var rest = await ToEndAsync(events);
        Assert.Equal($"{again.RunLease}.0", Assert.Single(rest, item => item.EventType == "reset").EventId);
        Assert.Equal("second", Follow("first try", rest));
    }

    [Fact]
    public async Task Watch_AttemptContinues_TellsOnlyWhatIsNew()
    {
        var job = await ClaimedAsync();
        var start = JobText.None.Begin(job.RunLease, keep: false);
        await WriteAsync(job, start, "", "one, ", redis: true);
        using var stream = await OpenAsync(shared.WithRedis, job.Id);
        var events = EventsOf(stream);
        while ((await NextAsync(events)).EventType != "delta")
        {
        }

        await shared.Leases.RetryAsync(job, new("timeout", "Late."), TimeSpan.Zero, Cancel);
        var again = Assert.Single(await shared.Leases.ClaimAsync("w", 1, Long, Cancel));
        await WriteAsync(again, (start with { Text = "one, " }).Begin(again.RunLease, keep: true), "one, ", "two", redis: true);
        await shared.Leases.CompleteAsync(again, """{"response":"one, two"}""", null, Cancel);

        var rest = await ToEndAsync(events);
        Assert.DoesNotContain(rest, item => item.EventType == "reset");
        Assert.Equal("one, two", Follow("one, ", rest));
    }

    [Fact]
    public async Task Watch_RedisFlushedInTheMiddle_MissesNothing()
    {
        var job = await ClaimedAsync();
        var start = JobText.None.Begin(job.RunLease, keep: false);
        await WriteAsync(job, start, "", "before ", redis: true);
        using var stream = await OpenAsync(shared.WithRedis, job.Id);
        var events = EventsOf(stream);
        while ((await NextAsync(events)).EventType != "delta")
        {
        }

        // What a flush leaves, for this job: nothing. The writer is told, and sends everything again.
        var live = shared.WithRedis.Services.GetRequiredService<LiveText>();
        await shared.ForgetAsync(job.Id);
        Assert.False(await live.AppendAsync(job.Id, job.RunLease, start.Bases, 7, "after"u8.ToArray()));
        await ProxyHost.UntilAsync(() => live.AppendAsync(job.Id, job.RunLease, start.Bases, 0, "before after"u8.ToArray()));

        var next = await NextAsync(events);
        Assert.Equal(("delta", "after"), (next.EventType, TextOf(next)));
        await shared.Leases.FailAsync(job, new("c", "m"), Cancel);
        var rest = await ToEndAsync(events);
        Assert.Equal("failed", JsonDocument.Parse(rest[^1].Data).RootElement.GetProperty("status").GetString());
    }

    [Fact]
    public async Task Watch_JobOfAnotherType_TellsStatesAndEnd()
    {
        var job = await ClaimedAsync("canvas_generation");
        using var stream = await OpenAsync(shared.WithRedis, job.Id);
        var events = EventsOf(stream);
        Assert.Contains("running", (await NextAsync(events)).Data, StringComparison.Ordinal);

        await shared.Leases.CompleteAsync(job, """{"canvasId":"x"}""", null, Cancel);

        var rest = await ToEndAsync(events);
        Assert.Equal(["state", "done"], rest.Select(item => item.EventType));
    }

    private static string Follow(string known, IEnumerable<SseItem<string>> events) => events.Aggregate(
        known, (text, item) => item.EventType switch { "reset" => "", "delta" => text + TextOf(item), _ => text });

    private static string TextOf(SseItem<string> item) => JsonDocument.Parse(item.Data).RootElement.GetProperty("text").GetString()!;

    private async Task<Job> ClaimedAsync(string type = JobTypes.Chat)
    {
        await MigratedDatabase.ExecuteAsync(shared.Database.Admin, "TRUNCATE llm_jobs, llm_job_events CASCADE");
        await shared.WithRedis.Services.GetRequiredService<JobStore>().EnqueueAsync(Tenants.Development, type, null, "{}", Cancel);
        return Assert.Single(await shared.Leases.ClaimAsync("w", 1, Long, Cancel));
    }

    private async Task WriteAsync(Job job, JobText start, string before, string piece, bool redis)
    {
        var services = shared.WithRedis.Services;
        Assert.True(await services.GetRequiredService<JobCheckpoints>()
            .SaveAsync(job, (start with { Text = redis ? start.Text : before + piece }).ToJson(), Cancel));
        if (!redis)
            return;
        var offset = System.Text.Encoding.UTF8.GetByteCount(before);
        var bytes = System.Text.Encoding.UTF8.GetBytes(piece);
        var live = services.GetRequiredService<LiveText>();
        if (await live.AppendAsync(job.Id, job.RunLease, start.Bases, offset, bytes))
            return;
        // As a worker does: all of it, again where Redis was late.
        await ProxyHost.UntilAsync(() =>
            live.AppendAsync(job.Id, job.RunLease, start.Bases, 0, System.Text.Encoding.UTF8.GetBytes(before + piece)));
    }

    private static async Task<Stream> OpenAsync(ApiHost api, Guid id, string? last = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/queue/jobs/{id}/events");
        if (last is not null)
            request.Headers.Add("Last-Event-ID", last);
        var response = await api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        return await response.Content.ReadAsStreamAsync(Cancel);
    }

    private static IAsyncEnumerator<SseItem<string>> EventsOf(Stream stream) =>
        SseParser.Create(stream).EnumerateAsync(Cancel).GetAsyncEnumerator(Cancel);

    private static async Task<SseItem<string>> NextAsync(IAsyncEnumerator<SseItem<string>> events)
    {
        Assert.True(await events.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        return events.Current;
    }

    private static async Task<List<SseItem<string>>> ToEndAsync(IAsyncEnumerator<SseItem<string>> events)
    {
        List<SseItem<string>> all = [];
        while (await events.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel))
            all.Add(events.Current);
        return all;
    }

    public sealed class Shared(ServersFixture servers) : IAsyncLifetime
    {
        public MigratedDatabase Database { get; } = new(servers);

        internal ApiHost WithRedis { get; private set; } = null!;

        internal ApiHost WithoutRedis { get; private set; } = null!;

        internal JobLeases Leases => WithRedis.Services.GetRequiredService<JobLeases>();

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            WithRedis = new ApiHost(database: Database.App, cache: Database.Redis, settings: ("RateLimiting:Enabled", "false"));
            WithoutRedis = new ApiHost(database: Database.App, settings: ("RateLimiting:Enabled", "false"));
        }

        internal Task ForgetAsync(Guid job) => WithRedis.Services.GetRequiredService<StackExchange.Redis.IConnectionMultiplexer>()
            .GetDatabase()
            .ScriptEvaluateAsync(
                "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end",
                null,
                [$"valuecanvas:job:*{job}*"]);

        public async ValueTask DisposeAsync()
        {
            await WithRedis.DisposeAsync();
            await WithoutRedis.DisposeAsync();
            await Database.DisposeAsync();
        }
    }
}
