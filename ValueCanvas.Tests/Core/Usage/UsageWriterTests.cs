using System.Diagnostics;
using ValueCanvas.Core.Usage.Recording;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>Rows of llm_usage and what follows from them, in a real PostgreSQL.</summary>
public sealed class UsageWriterTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Row_Committed_IsThereWhenTheWaitIsOver_AndASecondTimeIsNothing()
    {
        await using var host = await UsageHost.StartAsync(database.App);
        var row = UsageHost.Row(database.OtherTenant);

        await host.Require<UsageWriter>().CommitAsync(row).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        Assert.Equal(1, await CountAsync($"id = '{row.Id}'"));
        await host.Require<UsageWriter>().CommitAsync(row).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        await host.Require<UsageWriter>().CommitAsync(UsageHost.Row(database.OtherTenant, cache: "hit", cost: 0))
            .WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.Equal(1, await CountAsync($"id = '{row.Id}'"));
        Assert.Equal(
            "2 calls, 1 cached, 10 in, 5 out, 0.5000000000",
            await database.ScalarAsync<string>(
                $"""
                 SELECT calls || ' calls, ' || cached || ' cached, ' || input_tokens || ' in, ' || output_tokens || ' out, ' || cost
                 FROM model_usage WHERE tenant_id = '{database.OtherTenant}'
                 """));
    }

    /// <summary>As it is printed in the product's first document.</summary>
    [Fact]
    public async Task HitRate_AsPrinted_RunsAsTheOperator()
    {
        await using var host = await UsageHost.StartAsync(database.App);
        foreach (var cache in (string[])["hit", "hit", "hit", "miss"])
        {
            await host.Require<UsageWriter>().CommitAsync(UsageHost.Row(Guid.NewGuid(), cache: cache)).WaitAsync(TimeSpan.FromSeconds(30),
                Cancellation);
        }

        var rate = await database.ScalarAsync<double>(
            """
            -- Cache hit rate
            SELECT 
              (hits::float / NULLIF(hits + misses, 0)) * 100 as hit_rate_pct
            FROM (
              SELECT 
                COUNT(*) FILTER (WHERE cached = true) as hits,
                COUNT(*) FILTER (WHERE cached = false) as misses
              FROM llm_usage
              WHERE created_at >= NOW() - INTERVAL '1 hour'
            ) stats;
            """,
            UsageHost.AsOperator(database.Admin));

        Assert.InRange(rate, 0.01, 99.99);
    }

    [Fact]
    public async Task Group_WithARowThatNoTableTakes_IsWrittenButForThat()
    {
        await using var host = await UsageHost.StartAsync(database.App);
        var (good, bad) = (UsageHost.Row(), UsageHost.Row() with { Status = "nonsense" });

        await Task.WhenAll(host.Require<UsageWriter>().CommitAsync(good), host.Require<UsageWriter>().CommitAsync(bad))
            .WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.Equal(1, await CountAsync($"id IN ('{good.Id}', '{bad.Id}')"));
        var aside = Assert.Single(Directory.GetFiles(host.Require<UsageDirectory>().Location, "rejected-*"));
        Assert.Contains(bad.Id.ToString(), await File.ReadAllTextAsync(aside, Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Database_Away_RowsWaitOnDisk_AndAreBroughtInByTheNextProcess()
    {
        var directory = UsageHost.NewDirectory();
        await using var proxy = new SeveredProxy(database.App);
        var rows = Enumerable.Range(0, 20).Select(_ => UsageHost.Row()).ToArray();
        await using (var host = await UsageHost.StartAsync(proxy.ConnectionString, directory, settings: ("Usage:WriteTimeout",
            "00:00:00.5")))
        {
            proxy.Cut();
            await Task.WhenAll(rows.Select(row => host.Require<UsageWriter>().CommitAsync(row))).WaitAsync(TimeSpan.FromSeconds(30),
                Cancellation);
            Assert.Equal(0, await CountAsync(In(rows)));
        }

        proxy.Mend();
        await using var next = await UsageHost.StartAsync(proxy.ConnectionString, directory);
        await UntilAsync(async () => await CountAsync(In(rows)) == rows.Length);
        await UntilAsync(() => Task.FromResult(Directory.GetFiles(next.Require<UsageDirectory>().Location, "rows-*").Length == 0));
    }

    [Fact]
    public async Task Directory_ThatCannotBeWritten_AnotherIsUsed()
    {
        var file = UsageHost.NewDirectory();
        await File.WriteAllTextAsync(file, "", Cancellation);
        await using var host = await UsageHost.StartAsync(database.App, Path.Combine(file, "in-a-file"));

        using var written = host.Require<UsageDirectory>().Create("test");
        File.Delete(written.Name);
        Assert.False(written.Name.StartsWith(file, StringComparison.Ordinal));
        File.Delete(file);
    }

    [Fact]
    public async Task Calls_OfAProcessThatDied_AreWrittenOff_ButThoseThatHaveTheirRow()
    {
        var directory = UsageHost.NewDirectory();
        var (lost, written) = (UsageHost.Row(), UsageHost.Row());
        // More than a file begins with, of models whose names are as long as they may be.
        var many = Enumerable.Range(0, 600).Select(_ => UsageHost.Row() with { RequestedModel = new string('ß', 256) }).ToArray();
        await using (var host = await UsageHost.StartAsync(database.App, directory))
        {
            host.Require<OpenCalls>().Open(lost);
            host.Require<OpenCalls>().Open(written);
            foreach (var row in many)
                host.Require<OpenCalls>().Open(row);
            host.Require<OpenCalls>().Open(UsageHost.Row() with { Id = Guid.Empty });
            host.Require<OpenCalls>().Close(Guid.Empty);
            // Committed, and then killed.
            await host.Require<UsageWriter>().CommitAsync(written).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        }

        await using var next = await UsageHost.StartAsync(database.App, directory);
        await UntilAsync(async () =>
            await CountAsync($"id = '{lost.Id}' AND status = 'written_off' AND cost = 0") == 1
            && await CountAsync(In(many)) == many.Length);
        Assert.Equal(1, await CountAsync($"id = '{written.Id}' AND status = 'completed' AND cost = 0.5"));
        Assert.Equal(0, await CountAsync($"id = '{Guid.Empty}'"));
        Assert.Equal(many.Length, await CountAsync($"{In(many)} AND status = 'written_off'"));
    }

    [Fact]
    public async Task TwoInstances_WritingTheSameRows_WriteEachOnce()
    {
        await using var one = await UsageHost.StartAsync(database.App);
        await using var two = await UsageHost.StartAsync(database.App);
        var tenants = Enumerable.Range(0, 8).Select(_ => Guid.NewGuid()).ToArray();
        var rows = Enumerable.Range(0, 2000).Select(i => UsageHost.Row(tenants[i % tenants.Length])).ToArray();

        var writing = new[] { one, two }.SelectMany(host => rows.Select(row => host.Require<UsageWriter>().CommitAsync(row)));
        await Task.WhenAll(writing).WaitAsync(TimeSpan.FromSeconds(60), Cancellation);

        await UntilAsync(async () => await CountAsync(In(rows)) == rows.Length);
        Assert.Equal(
            rows.Length,
            await database.ScalarAsync<decimal>(
                $"SELECT sum(calls) FROM model_usage WHERE tenant_id IN ({string.Join(", ", tenants.Select(id => $"'{id}'"))})"));
    }

    private static string In(IEnumerable<UsageRow> rows) => $"id IN ({string.Join(", ", rows.Select(row => $"'{row.Id}'"))})";

    private Task<long> CountAsync(string where) => database.ScalarAsync<long>($"SELECT count(*) FROM llm_usage WHERE {where}");

    internal static async Task UntilAsync(Func<Task<bool>> condition)
    {
        var started = Stopwatch.GetTimestamp();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(30), "It did not come to that in 30 s.");
            await tick.WaitForNextTickAsync(Cancellation);
        }
    }
}
