using System.Diagnostics;
using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class WorkerTests(ChaosFleet fleet) : FaultTest(fleet)
{
    private static readonly TimeSpan Frozen = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly Random _random = new();

    [Fact, Trait("fault", "worker-killed")]
    public Task Workers_KilledAtRandomMoments_LoseNoJob() => UnderAsync("workers killed (SIGKILL) at random moments", async () =>
    {
        for (var i = 0; i < Size.Times; i++)
        {
            await Task.Delay(Size.Fault / 2 * _random.NextDouble(), TimeProvider.System, Cancel);
            await Fleet.Workers.KillAsync(i % Size.Workers);
            await Fleet.Workers.ReplaceAsync(i % Size.Workers);
        }
    });

    /// <summary>In every run of the tests <see cref="FrozenWorkerTests"/> does so, for less long.</summary>
    [Fact(Explicit = true), Trait("fault", "worker-frozen")]
    public Task Worker_FrozenForAMinute_ItsLateAnswersAreRefused() => UnderAsync("a worker frozen (SIGSTOP) for 60 s", async () =>
    {
        var its = Fleet.Workers.Is(0);
        await Fleet.Database.UntilAsync($"SELECT count(*) > {Size.Concurrency / 2} FROM llm_jobs WHERE state = 'running' AND {its}");
        var frozenAt = Stopwatch.GetTimestamp();
        await Fleet.Workers[0].FreezeAsync();
        var held = await Fleet.Database.ScalarAsync<Guid[]>($"SELECT array_agg(id) FROM llm_jobs WHERE state = 'running' AND {its}");
        Assert.NotNull(held);
        // Of one it may be in the middle of a transaction, which PostgreSQL ends after half a minute.
        await Fleet.Database.UntilAsync($"SELECT count(*) < {held.Length} FROM llm_jobs WHERE state = 'running' AND {its}");
        if (Frozen - Stopwatch.GetElapsedTime(frozenAt) is var left && left > TimeSpan.Zero)
            await Task.Delay(left, TimeProvider.System, Cancel);

        var thawedAt = await Fleet.Database.NowAsync();
        await Fleet.Workers[0].ThawAsync();
        await Fleet.Database.UntilAsync($"SELECT count(*) > 0 FROM llm_job_events WHERE event = 'claimed' AND at > '{thawedAt}' AND {its}");

        // It had answers as well: they are in the books, and nowhere else.
        var ids = $"'{$"{{{string.Join(',', held)}}}"}'::uuid[]";
        var late = $"FROM (SELECT FROM llm_usage WHERE job_id = ANY ({ids}) GROUP BY job_id HAVING count(*) > 1) AS t";
        await Fleet.Database.UntilAsync($"SELECT count(*) > 0 {late}");
        Note = $"{held.Length} jobs held, {await Fleet.Database.ScalarAsync<long>($"SELECT count(*) {late}")} late answers refused";
    });

    /// <summary>In every run of the tests <see cref="PoisonTests"/> has one.</summary>
    [Fact(Explicit = true), Trait("fault", "poison-job")]
    public Task Job_ThatKillsItsWorkers_IsGivenUpAndTakesNoOtherAlong() => UnderAsync("a job that kills its workers", async () =>
    {
        var prompt = $"poison {Guid.NewGuid():N}";
        var row = $"FROM llm_jobs WHERE args->>'prompt' = '{prompt}'";
        Fleet.Models.Asked[prompt] = async () => await Fleet.Workers.KillAsync(
            await Fleet.Database.ScalarAsync<string>($"SELECT coalesce(worker_id, '') {row}"));
        using var http = ChaosLoad.Client();
        Assert.NotNull(await ChaosLoad.SubmitAsync(http, Fleet.Api, prompt, Fleet.Load.Wrong, Cancel));

        await Fleet.Database.UntilAsync($"SELECT state = 'failed' {row}");
        Assert.Equal(
            $"poison {Size.MaxCrashes}", await Fleet.Database.ScalarAsync<string>($"SELECT error_code || ' ' || crash_count {row}"));
        Note = $"given up after {Size.MaxCrashes} workers";
    });

    /// <summary>In every run of the tests JobLeasesTests has some; workers look for lost jobs beside them, too.</summary>
    [Fact(Explicit = true), Trait("fault", "rescuers")]
    public Task Rescuers_ManyAtOnce_RescueEachJobOnce() => UnderAsync("many rescuers at once", async () =>
    {
        var its = Fleet.Workers.Is(0);
        await Fleet.Database.UntilAsync($"SELECT count(*) > {Size.Concurrency / 2} FROM llm_jobs WHERE state = 'running' AND {its}");
        await Fleet.Workers.KillAsync(0);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var rescuers = Enumerable.Range(0, 8).Select(_ => RescueAsync(over.Token)).ToArray();
        await Fleet.Database.UntilAsync($"SELECT count(*) = 0 FROM llm_jobs WHERE state = 'running' AND {its}");
        await over.CancelAsync();
        var rescued = (await Task.WhenAll(rescuers)).Sum();
        await Fleet.Workers.ReplaceAsync(0);
        Note = $"8 beside the workers', which rescued {rescued}";
    });

    private async Task<long> RescueAsync(CancellationToken over)
    {
        var rescued = 0L;
        while (!over.IsCancellationRequested)
        {
            rescued += await Fleet.Database.ScalarAsync<long>($"SELECT count(*) FROM rescue_llm_jobs(100, {Size.MaxCrashes})");
            await Task.Delay(Pause, TimeProvider.System, Cancel);
        }

        return rescued;
    }
}
