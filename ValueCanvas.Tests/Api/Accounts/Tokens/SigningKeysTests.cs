using Npgsql;
using ValueCanvas.Core.Database.Migrations;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Accounts.Tokens;

public sealed class SigningKeysTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Current_ManyInstancesStartAtOnce_AllHaveTheSameKey()
    {
        var app = await EmptyAsync();
        var benches = Enumerable.Range(0, 8).Select(_ => new TokenBench(app)).ToArray();

        var keys = await Task.WhenAll(benches.Select(bench => bench.Keys.CurrentAsync(Cancel).AsTask()));

        Assert.Single(keys.Select(key => key.Id).Distinct());
        foreach (var bench in benches)
            await bench.DisposeAsync();
    }

    [Fact]
    public async Task Current_AMonthGoesBy_TheNextKeyIsPublishedADayBeforeItSigns()
    {
        var clock = new SteppedClock();
        await using var bench = new TokenBench(await EmptyAsync(), clock);
        var first = await bench.Keys.CurrentAsync(Cancel);
        Assert.Single(await bench.Keys.PublishedAsync(Cancel));

        clock.Advance(TimeSpan.FromDays(29.5));
        var published = await bench.Keys.PublishedAsync(Cancel);
        Assert.Equal(2, published.Count);
        Assert.Equal(first.Id, (await bench.Keys.CurrentAsync(Cancel)).Id);

        clock.Advance(TimeSpan.FromDays(0.5));
        var second = await bench.Keys.CurrentAsync(Cancel);
        Assert.NotEqual(first.Id, second.Id);
        Assert.Contains(second.Id, published.Select(key => key.Kid));
        // Tokens of the first key still hold.
        Assert.NotNull(await bench.Keys.FindAsync(first.Id, Cancel));

        clock.Advance(TimeSpan.FromMinutes(12));
        Assert.Null(await bench.Keys.FindAsync(first.Id, Cancel));
        Assert.Equal([second.Id], (await bench.Keys.PublishedAsync(Cancel)).Select(key => key.Kid));
    }

    [Fact]
    public async Task Current_NothingRanForAYear_ANewKeySignsAtOnce()
    {
        var clock = new SteppedClock();
        await using var bench = new TokenBench(await EmptyAsync(), clock);
        var first = await bench.Keys.CurrentAsync(Cancel);

        clock.Advance(TimeSpan.FromDays(365));

        var second = await bench.Keys.CurrentAsync(Cancel);
        Assert.NotEqual(first.Id, second.Id);
        Assert.True(second.ActiveFrom <= clock.GetUtcNow());
    }

    [Fact]
    public async Task Find_KeyThatAnotherInstanceMadeSince_IsFound()
    {
        var app = await EmptyAsync();
        await using var one = new TokenBench(app, secret: "a-secret-that-was-lost-some-day");
        await using var two = new TokenBench(app);
        await one.Keys.CurrentAsync(Cancel);
        var key = await two.Keys.CurrentAsync(Cancel);
        await using var three = new TokenBench(app);

        Assert.NotNull(await three.Keys.FindAsync(key.Id, Cancel));
        Assert.Equal(key.Id, (await three.Keys.CurrentAsync(Cancel)).Id);
    }

    [Fact]
    public async Task Database_HoldsNoPrivateKeyThatCouldBeRead()
    {
        var app = await EmptyAsync();
        await using var bench = new TokenBench(app);
        var key = await bench.Keys.CurrentAsync(Cancel);

        var stored = await database.ScalarAsync<byte[]>("SELECT sealed FROM signing_keys", app);

        var secret = key.Export().AsSpan(36, 16).ToArray();
        Assert.Equal(-1, stored.AsSpan().IndexOf(secret));
    }

    private async Task<string> EmptyAsync()
    {
        var admin = await database.CreateAsync();
        return new NpgsqlConnectionStringBuilder(admin)
        {
            Username = DatabaseRoles.App, Password = MigratedDatabase.AppPassword, Pooling = true,
        }.ConnectionString;
    }
}
