using System.Collections.Concurrent;
using Npgsql;
using StackExchange.Redis;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>PostgreSQL and Redis go and come back under load: no call fails for it, no row is lost, and none is there twice.</summary>
public sealed class RestartedDatabaseTests : IAsyncLifetime
{
    private Servers _servers = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _servers = await Servers.StartAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => _servers.DisposeAsync();

    [Fact]
    public async Task Servers_RestartedUnderLoad_LoseAndDoubleNoRow_AndTheBudgetIsWhatTheRowsSay()
    {
        var admin = await _servers.CreateDatabaseAsync("restarted", Cancellation);
        var app = await ApiDatabase.MigrateAsync(admin);
        await ExecuteAsync(admin,
            $"INSERT INTO tenant_budgets (tenant_id, amount, period, alert_at) VALUES ('{Tenants.Development}', 1000000, 'month', '{{}}')");
        await using var inference = await FakeInference.StartAsync();
        inference.Answer = context => FakeInference.Stream(context, "Hel", "lo.");
        await using var host = await UsageHost.StartAsync(
            app, redis: _servers.Redis, inference: inference.Address,
            settings: [("Usage:WriteTimeout", "00:00:01"), ("Usage:Budgets:Refresh", "00:00:00.2")]);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var done = new ConcurrentQueue<Guid>();
        var load = Enumerable.Range(0, 8).Select(_ => LoadAsync(host.Client, done, stop.Token)).ToArray();
        await MoreAsync(done, 100);
        await _servers.StopRedisAsync(Cancellation);
        await MoreAsync(done, 100);
        await _servers.StartRedisAsync(Cancellation);
        await _servers.StopPostgresAsync(Cancellation);
        await MoreAsync(done, 100);
        await _servers.StartPostgresAsync(Cancellation);
        await MoreAsync(done, 100);
        await stop.CancelAsync();
        await Task.WhenAll(load).WaitAsync(TimeSpan.FromSeconds(60), Cancellation);

        await UsageWriterTests.UntilAsync(async () => await ScalarAsync<long>(admin, "SELECT count(*) FROM llm_usage") >= done.Count);
        var rows = await ScalarAsync<Guid[]>(admin, "SELECT array_agg(id) FROM llm_usage");
        Assert.Equal(done.Order(), rows.Order());
        Assert.Equal(done.Count, await ScalarAsync<decimal>(admin, "SELECT sum(calls) FROM model_usage"));
        Assert.Equal(
            await ScalarAsync<decimal>(admin, "SELECT sum(cost) FROM llm_usage"), await ScalarAsync<decimal>(admin,
                "SELECT sum(cost) FROM model_usage"));

        // Redis came back with nothing, and knows all that was spent, once.
        var (book, spent) = (host.Require<BudgetBook>(), await ScalarAsync<decimal>(admin, "SELECT sum(cost) FROM llm_usage"));
        var budgets = book.Of(new InferenceCall(Tenants.Development) { Route = "/test" });
        using var redis = await ConnectionMultiplexer.ConnectAsync(_servers.Redis);
        await UsageWriterTests.UntilAsync(async () =>
        {
            await book.ReserveAsync(budgets, _ => 1_000_000, Cancellation);
            foreach (var key in redis.GetServer(redis.GetEndPoints()[0]).Keys(pattern: "valuecanvas:spent:*:month"))
            {
                if (BudgetAccount.ToDollars((long)await redis.GetDatabase().HashGetAsync(key, "stored")) == spent)
                    return true;
            }

            return false;
        });
        Assert.Equal(spent, (await book.ReserveAsync(budgets, _ => 1_000_000, Cancellation)).Refusal?.Spent);
    }

    private static async Task LoadAsync(InferenceClient client, ConcurrentQueue<Guid> done, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var call = new InferenceCall(Tenants.Development) { Route = "/test" };
            // A call that has begun is read to its end: what is left in the middle is another matter.
            await foreach (var delta in client.StreamChatAsync(new([new("user", "Hi")]) { Call = call, Model = "fake-model",
                MaxTokens = 5 }, CancellationToken.None))
            {
                Assert.NotNull(delta.Text);
            }

            done.Enqueue(call.Id);
        }
    }

    private static Task MoreAsync(ConcurrentQueue<Guid> done, int more)
    {
        var wanted = done.Count + more;
        return UsageWriterTests.UntilAsync(() => Task.FromResult(done.Count >= wanted));
    }

    private static async Task ExecuteAsync(string admin, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(admin) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private static async Task<T> ScalarAsync<T>(string admin, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(admin) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }
}
