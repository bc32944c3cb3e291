using System.Diagnostics;
using ValueCanvas.Tests.Chaos.Fleet;
using ValueCanvas.Tests.Chaos.Verdicts;

namespace ValueCanvas.Tests.Chaos.Faults;

/// <summary>
/// A fault while clients submit and workers work. Afterwards no accepted job is lost, each has ended once, with the right text, and is
/// charged once; and the work goes on as before.
/// </summary>
[Collection(ChaosCollection.Name)]
public abstract class FaultTest(ChaosFleet fleet)
{
    private const double Recovered = 0.95;
    private const int Tries = 3;
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private protected static ChaosSize Size => ChaosSize.Current;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected ChaosFleet Fleet => fleet;

    /// <summary>What there is to be said of the fault beside its figures.</summary>
    protected string? Note { get; set; }

    private protected async Task UnderAsync(string fault, Func<Task> make)
    {
        // 1. It works.
        await fleet.Database.MoreAsync(5);
        var before = Size.Measured ? await JobRate.MeasureAsync(fleet) : null;

        // 2. The fault.
        var madeAt = await fleet.Database.NowAsync();
        var made = Stopwatch.GetTimestamp();
        await make();
        var seconds = Stopwatch.GetElapsedTime(made).TotalSeconds;
        var accepted = fleet.Load.Accepted.ToArray();

        // 3. It works again.
        var during = before is null ? 0 : await JobRate.SinceAsync(fleet, madeAt);
        var back = before is null ? 0 : await BackAsync(before);
        var after = before is null ? [] : await AfterAsync(before);
        await fleet.Database.MoreAsync(10);

        // 4. Whatever was accepted meanwhile ends, and the history says how.
        await EndAsync([.. accepted.Select(pair => pair.Value).Where(fleet.IsNew)]);
        var verdict = await ChaosVerdict.ReadAsync(fleet, accepted);
        if (before is not null)
        {
            await new ChaosRecord
            {
                Fault = fault, Seconds = seconds, Before = before, During = during, Back = back, After = after[^1],
                Tries = [.. after.Select(rate => rate.PerSecond)], Jobs = accepted.Length,
                Rescued = await fleet.Database.ScalarAsync<long>(
                    $"SELECT count(*) FROM llm_job_events WHERE event = 'rescued' AND at > '{madeAt}'"),
                Verdict = verdict, Note = Note,
            }.KeepAsync(Cancel);
        }

        Assert.Empty(verdict.All);
        if (before is not null)
            Assert.True(IsAsBefore(after[^1], before), $"{before.PerSecond:0.0} jobs/s before, {after[^1].PerSecond:0.0} afterwards.");
    }

    /// <summary>Again and again, for so long.</summary>
    private protected static async Task ForAsync(TimeSpan time, Func<Task> act)
    {
        for (var startedAt = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(startedAt) < time;)
        {
            await act();
            await Task.Delay(Pause, TimeProvider.System, Cancel);
        }
    }

    /// <returns>How long it took until the rate was there again, in seconds; at most for as long as is waited for that.</returns>
    private async Task<double> BackAsync(JobRate before)
    {
        var healed = Stopwatch.GetTimestamp();
        while (await JobRate.ForAsync(fleet, Look) < before.PerSecond * Recovered && Stopwatch.GetElapsedTime(healed) < Settled)
        {
        }

        return Math.Max(0, (Stopwatch.GetElapsedTime(healed) - Look).TotalSeconds);
    }

    /// <summary>Measured again where it is less: what a neighbour on the machine takes passes, what the fault took does not.</summary>
    private async Task<List<JobRate>> AfterAsync(JobRate before)
    {
        List<JobRate> after = [await JobRate.MeasureAsync(fleet)];
        while (!IsAsBefore(after[^1], before) && after.Count < Tries)
            after.Add(await JobRate.MeasureAsync(fleet));
        return after;
    }

    private static bool IsAsBefore(JobRate after, JobRate before) => after.PerSecond >= before.PerSecond * Recovered;

    private Task EndAsync(Guid[] jobs) => fleet.Database.UntilAsync(
        $"""
         SELECT count(*) = {jobs.Length} FROM llm_job_results WHERE job_id = ANY ('{$"{{{string.Join(',', jobs)}}}"}'::uuid[])
         """);
}
