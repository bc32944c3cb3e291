using System.Diagnostics;
using System.Globalization;
using ValueCanvas.Tests.Chaos.Fleet;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class RedisTests(ChaosFleet fleet) : FaultTest(fleet)
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(20);

    [Fact, Trait("fault", "redis-killed")]
    public Task Redis_KilledAndAbsentAtAStart_IsNotMissed() => UnderAsync("Redis killed, and absent at a start", async () =>
    {
        await KillAsync();
        await Fleet.Database.MoreAsync(10);

        // New processes, which have never seen it.
        await Fleet.KillApiAsync();
        await Fleet.Workers.KillAsync(0);
        await Fleet.Workers.ReplaceAsync(0);
        await Fleet.ReplaceApiAsync();
        await Fleet.Database.MoreAsync(10);
        await Fleet.Database.UntilAsync($"SELECT count(*) > 0 FROM llm_jobs WHERE state = 'succeeded' AND {Fleet.Workers.Is(0)}");
        await Fleet.Servers.StartRedisAsync(Cancel);
    });

    [Fact, Trait("fault", "redis-flushed")]
    public Task Redis_FlushedAgainAndAgain_IsNotMissed() => UnderAsync("Redis flushed again and again", async () =>
    {
        using var redis = await RedisConnection.OpenAsync(Fleet.Servers.Redis);
        await ForAsync(Size.Fault / 2, () => redis.Database.ExecuteAsync("FLUSHALL").WaitAsync(AnswerLimit, Cancel));
    });

    private async Task KillAsync()
    {
        using var redis = await RedisConnection.OpenAsync(Fleet.Servers.Redis);
        var told = (string?)await redis.Database.ExecuteAsync("INFO", "server").WaitAsync(AnswerLimit, Cancel) ?? "";
        var id = told.Split('\n').First(line => line.StartsWith("process_id:", StringComparison.Ordinal)).Trim()["process_id:".Length..];
        // In a container it has another number: there it is stopped.
        var name = $"/proc/{id}/comm";
        if (File.Exists(name) && (await File.ReadAllTextAsync(name, Cancel)).StartsWith("redis", StringComparison.Ordinal))
            Process.GetProcessById(int.Parse(id, CultureInfo.InvariantCulture)).Kill();
        else
            await Fleet.Servers.StopRedisAsync(Cancel);
    }
}
