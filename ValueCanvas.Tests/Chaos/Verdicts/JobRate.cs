using System.Globalization;
using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Verdicts;

/// <summary>
/// How fast jobs are done, by their history. First with a queue that is never empty: then the models' time limits the rate, and of five
/// windows the best and the worst do not count, so that a neighbour on the machine decides little. Then at half of that, with an empty
/// queue: how long a job waits until a worker begins.
/// </summary>
/// <param name="Windows">Jobs that succeeded a second, in each window.</param>
/// <param name="Offered">Jobs a second that were submitted for the second part.</param>
/// <param name="Done">Of them that had succeeded when it was over; what was under way then is missing.</param>
/// <param name="StartP50Ms">From the submission to the claim.</param>
/// <param name="StartP99Ms">The same.</param>
internal sealed record JobRate(IReadOnlyList<double> Windows, double Offered, double Done, double StartP50Ms, double StartP99Ms)
{
    private const int Count = 5;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Paced = TimeSpan.FromSeconds(10);

    /// <summary>The mean of the windows but the best and the worst.</summary>
    public double PerSecond => MeanOf(Windows);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<JobRate> MeasureAsync(ChaosFleet fleet)
    {
        // 1. Never empty.
        await fleet.Database.UntilAsync($"SELECT count(*) >= {ChaosSize.Current.Backlog / 2} {ChaosDatabase.Due}");
        var from = await WaitAsync(fleet, Count * Window);
        var windows = await fleet.Database.ScalarAsync<double[]>(
            $"""
             SELECT array_agg(jobs / {Seconds(Window)}::float8 ORDER BY n) FROM (
                 SELECT n, count(e.at)::float8 AS jobs
                 FROM generate_series(0, {Count - 1}) AS n LEFT JOIN llm_job_events e ON e.event = 'succeeded'
                     AND e.at >= '{from}'::timestamptz + n * interval '{Seconds(Window)} s'
                     AND e.at < '{from}'::timestamptz + (n + 1) * interval '{Seconds(Window)} s'
                 GROUP BY n) AS w
             """);

        // 2. Empty, but for what has just come.
        fleet.Load.PerSecond = MeanOf(windows) / 2;
        await fleet.Database.UntilAsync($"SELECT count(*) <= 2 {ChaosDatabase.Due}");
        from = await WaitAsync(fleet, Paced);
        var to = $"'{from}'::timestamptz + interval '{Seconds(Paced)} s'";
        var (offered, done) = (await CountAsync(fleet, from, "submitted"), await CountAsync(fleet, from, "succeeded"));
        await fleet.Database.UntilAsync($"SELECT count(*) = 0 {ChaosDatabase.Due} AND created_at < {to}");
        fleet.Load.PerSecond = 0;
        var waits = await fleet.Database.ScalarAsync<double[]>(
            $"""
             SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM c.at - s.at)::float8)
             FROM llm_job_events s CROSS JOIN LATERAL (
                 SELECT c.at FROM llm_job_events c WHERE c.job_id = s.job_id AND c.event = 'claimed' ORDER BY c.id LIMIT 1) AS c
             WHERE s.event = 'submitted' AND s.at >= '{from}' AND s.at < {to}
             """);
        return new JobRate(windows, offered, done, waits[0], waits[1]);
    }

    /// <summary>Jobs that succeeded a second since then.</summary>
    public static Task<double> SinceAsync(ChaosFleet fleet, string from) => fleet.Database.ScalarAsync<double>(
        $"""
         SELECT count(*) / extract(epoch FROM now() - '{from}'::timestamptz)::float8 FROM llm_job_events
         WHERE event = 'succeeded' AND at > '{from}' AND at <= now()
         """);

    /// <summary>The same, from now on and for so long.</summary>
    public static async Task<double> ForAsync(ChaosFleet fleet, TimeSpan time) => await SinceAsync(fleet, await WaitAsync(fleet, time));

    private static double MeanOf(IReadOnlyList<double> windows) => windows.Order().Skip(1).SkipLast(1).Average();

    private static async Task<string> WaitAsync(ChaosFleet fleet, TimeSpan time)
    {
        var from = await fleet.Database.NowAsync();
        await Task.Delay(time, TimeProvider.System, Cancel);
        return from;
    }

    private static Task<double> CountAsync(ChaosFleet fleet, string from, string what) => fleet.Database.ScalarAsync<double>(
        $"""
         SELECT count(*) / {Seconds(Paced)}::float8 FROM llm_job_events
         WHERE event = '{what}' AND at >= '{from}' AND at < '{from}'::timestamptz + interval '{Seconds(Paced)} s'
         """);

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
}
