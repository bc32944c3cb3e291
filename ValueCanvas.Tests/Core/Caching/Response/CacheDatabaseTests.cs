using System.Text.Json;
using Npgsql;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Caching.Tags;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>What the cache writes to PostgreSQL, and what it learns from there.</summary>
public sealed class CacheDatabaseTests(ServersFixture servers, MigratedDatabase database) : IClassFixture<MigratedDatabase>, IAsyncLifetime
{
    private const string Body = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""";

    private readonly string _prefix = $"cache-{Guid.NewGuid():N}";
    private FakeInference _model = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _model = await FakeInference.StartAsync();
        await MigratedDatabase.ExecuteAsync(database.Admin, "TRUNCATE llm_cache_entries, llm_cache_statistics");
    }

    public ValueTask DisposeAsync() => _model.DisposeAsync();

    [Fact]
    public async Task Entries_AndCounts_AreWritten_AndWhatWasSavedCanBeAskedForAsPrinted()
    {
        await using (var one = await StartAsync())
        {
            var paid = await one.AskAsync(Body, prompt: ("canvas.generate", "3"), cache: CacheControl.Always with { Tags = ["own"] });
            paid.Outcome.Cost = 0.25m;
            for (var i = 0; i < 4; i++)
                await one.AskAsync(Body, prompt: ("canvas.generate", "3"));
            await one.AskAsync(Body, tenant: database.OtherTenant);
            await one.AskAsync(Body, tenant: Guid.NewGuid());
        }

        var saved = await database.ScalarAsync<decimal>(
            "SELECT SUM(cost * hit_count) as total_saved FROM llm_cache_entries", database.Operator);
        Assert.Equal(1.00m, saved);
        Assert.Equal(2L, await database.ScalarAsync<long>("SELECT count(*) FROM llm_cache_entries"));
        Assert.Equal(
            "m fake-model canvas.generate 3 4 7 3 {*,model:m,model:fake-model,prompt:canvas.generate,prompt:canvas.generate@3,own}",
            await database.ScalarAsync<string>(
                """
                SELECT concat_ws(' ', model, answered_by, prompt_key, prompt_version, hit_count, input_tokens, output_tokens, tags)
                FROM llm_cache_entries WHERE hit_count > 0 AND last_hit_at IS NOT NULL AND size_bytes > 100 AND length(key) = 32
                """));

        await using var reader = await StartAsync();
        var report = await reader.Require<CacheStatistics>().ReadAsync(CacheInstance.Tenant, TimeSpan.FromHours(1), Cancel);
        Assert.Equal((4L, 1L, 1.00m, 28L, 12L, 1L), (report.Hits, report.Misses, report.SavedCost, report.SavedInputTokens,
            report.SavedOutputTokens, report.Entries));
        Assert.Equal(("m", "canvas.generate", 4L), (report.ByModel.Single().Model, report.ByModel.Single()
            .Prompt, report.ByModel.Single().Hits));
        var others = await reader.Require<CacheStatistics>().ReadAsync(database.OtherTenant, TimeSpan.FromHours(1), Cancel);
        Assert.Equal((0L, 1L), (others.Hits, others.Misses));
    }

    [Theory]
    [InlineData("own")]
    [InlineData("model:m")]
    [InlineData("model:fake-model")]
    [InlineData("prompt:p")]
    [InlineData("prompt:p@1")]
    [InlineData("*")]
    public async Task Tag_Invalidated_DropsTheTenantsAnswers_InEveryInstance_WithoutAMessage(string tag)
    {
        await using var one = await StartAsync();
        await using var other = await StartAsync();
        async Task<string> Ask(CacheInstance instance, Guid? tenant = null) =>
            (await instance.AskAsync(Body, CacheControl.Always with { Tags = ["own"] }, tenant, prompt: ("p", "1"))).Cache;
        foreach (var tenant in (Guid[])[CacheInstance.Tenant, database.OtherTenant])
        {
            Assert.Equal("MISS", await Ask(one, tenant));
            await CacheInstance.UntilAsync(async () => await Ask(other, tenant) == "HIT");
        }

        await one.Require<CacheInvalidator>().DropAsync(CacheInstance.Tenant, [tag, "something else"], Cancel);

        Assert.Equal("MISS", await Ask(one));
        await CacheInstance.UntilAsync(() => other.Require<Invalidations>().Epoch == one.Require<Invalidations>().Epoch);
        // On its way to Redis it can still be read along.
        Assert.Contains(await Ask(other), (string[])["HIT", "COALESCED"]);
        Assert.Equal("HIT", await Ask(one, database.OtherTenant));
        Assert.Equal("HIT", await Ask(other, database.OtherTenant));

        // An instance that starts later knows it, too; what Redis holds of before is of no use.
        await one.Require<CacheInvalidator>().DropForAllAsync(CacheInstance.Tenant, [tag], Cancel);
        await using var late = await StartAsync();
        await CacheInstance.UntilAsync(() => late.Require<Invalidations>().Epoch == one.Require<Invalidations>().Epoch);
        Assert.Equal("MISS", await Ask(late));
        Assert.Equal("MISS", await Ask(late, database.OtherTenant));
    }

    [Fact]
    public async Task AnswerUnderWay_WhenItsTagIsInvalidated_IsNotUsedLater()
    {
        await using var cache = await StartAsync();
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _model.Answer = async context =>
        {
            await go.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Text(context, 200, FakeInference.Completion("of before"));
        };
        var body = Body.Replace("hi", Guid.NewGuid().ToString(), StringComparison.Ordinal);
        var asking = cache.AskAsync(body);
        await CacheInstance.UntilAsync(() => _model.Seen.Count == 1);
        await cache.Require<CacheInvalidator>().DropAsync(CacheInstance.Tenant, ["model:m"], Cancel);
        go.SetResult();
        Assert.Equal("MISS", (await asking).Cache);
        Assert.Equal("MISS", (await cache.AskAsync(body)).Cache);
        Assert.Equal("HIT", (await cache.AskAsync(body)).Cache);
    }

    [Fact]
    public async Task Invalidation_InAnothersName_IsRefused()
    {
        foreach (var owner in (string[])[$"'{database.OtherTenant}'", "NULL"])
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => MigratedDatabase.ExecuteAsync(
                database.App,
                $"""
                 BEGIN;
                 SELECT set_config('app.tenant_id', '{CacheInstance.Tenant}', true);
                 SELECT invalidate_llm_cache({owner}, ARRAY['*'])
                 """));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }
    }

    [Fact]
    public async Task DatabaseAway_TheCacheGoesOn()
    {
        await using var cache = await CacheInstance.StartAsync(
            _model.Address, servers.Redis, "Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1",
                ("ResponseCache:Prefix", _prefix));
        Assert.Equal("MISS", (await cache.AskAsync(Body)).Cache);
        Assert.Equal("HIT", (await cache.AskAsync(Body)).Cache);
    }

    [Fact]
    public async Task NamesThatClientsChoose_CanBeWritten()
    {
        var name = "a\u0000\ud83d\ude00\"'" + new string('x', 5000);
        await using (var cache = await StartAsync())
        {
            await cache.AskAsync(JsonSerializer.Serialize(new { model = name, messages = Array.Empty<object>() }));
            await cache.AskAsync(JsonSerializer.Serialize(new { model = name, messages = Array.Empty<object>() }));
        }

        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT hit_count FROM llm_cache_entries"));
    }

    private async Task<CacheInstance> StartAsync()
    {
        var instance = await CacheInstance.StartAsync(
            _model.Address,
            servers.Redis,
            database.App,
            ("ResponseCache:Prefix", _prefix),
            ("ResponseCache:RedisTimeout", "00:00:10"),
            ("ResponseCache:FollowInterval", "00:00:00.050"),
            ("ResponseCache:WriteInterval", "00:00:00.100"));
        // What is asked for before the first look is dropped by all that was invalidated until then.
        await instance.Require<InvalidationFollower>().LookAsync(Cancel);
        return instance;
    }
}
