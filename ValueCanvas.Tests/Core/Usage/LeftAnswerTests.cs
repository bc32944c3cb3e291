using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>An answer that several instances read has one who pays, whoever of them leaves.</summary>
public sealed class LeftAnswerTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Answer_LeftByWhoPays_AndThenByItsReaderElsewhere_IsOwedOnceByTheFirst()
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var inference = await FakeInference.StartAsync();
        inference.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("one"));
            await go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Stream(context, "two");
        };
        await using var here = await StartAsync(inference);
        await using var elsewhere = await StartAsync(inference);
        var tenant = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(database.Admin, $"INSERT INTO tenants (id, name) VALUES ('{tenant}', 'T')");

        var first = await BeginAsync(here, tenant);
        var second = await BeginAsync(elsewhere, tenant);
        await first.DisposeAsync();
        await second.DisposeAsync();
        go.SetResult();

        await UsageWriterTests.UntilAsync(
            async () => await database.ScalarAsync<long>($"SELECT count(*) FROM llm_usage WHERE tenant_id = '{tenant}'") == 3);
        Assert.Equal(
            "coalesced 0 0, coalesced 0 0, miss 2 1",
            await database.ScalarAsync<string>(
                $"""
                 SELECT string_agg(
                     concat_ws(' ', cache, CASE WHEN cost > 0 THEN output_tokens ELSE 0 END, (cost > 0)::int),
                     ', ' ORDER BY cache, cost)
                 FROM llm_usage WHERE tenant_id = '{tenant}'
                 """));
        Assert.Single(inference.Seen);
    }

    private async Task<UsageHost> StartAsync(FakeInference inference)
    {
        var host = await UsageHost.StartAsync(
            database.App, redis: database.Redis, inference: inference.Address,
            settings:
            [
                ("ResponseCache:RedisTimeout", "00:00:10"), ("ResponseCache:FlightSilence", "00:00:20"),
                ("ResponseCache:FlightLease", "00:00:20"),
            ]);
        await UsageWriterTests.UntilAsync(() => Task.FromResult(host.Require<RedisLevel>().IsAsked));
        return host;
    }

    // Reads the first piece.
    private static async Task<IAsyncEnumerator<ChatDelta>> BeginAsync(UsageHost host, Guid tenant)
    {
        var call = new InferenceCall(tenant) { Route = "/test", Cache = CacheControl.Always };
        var answer = host.Client.StreamChatAsync(new([new("user", "Hi")]) { Call = call, Model = "fake-model" }, Cancellation)
            .GetAsyncEnumerator(Cancellation);
        Assert.True(await answer.MoveNextAsync());
        return answer;
    }
}
