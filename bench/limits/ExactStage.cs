using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ValueCanvas.LimitsBench;

/// <summary>Four processes of 64 clients that ask without a pause: how many are admitted, and how many may be.</summary>
internal static class ExactStage
{
    private const int Processes = 4;
    private const int Clients = 64;
    private const long Limit = 1000;

    public static async Task<JsonObject> RunAsync(string algorithm, string redis, double seconds, CancellationToken cancellationToken)
    {
        var isConcurrency = algorithm == "Concurrency";
        // A window that does not divide the time, so that its ends fall into the load.
        var window = isConcurrency ? 1 : 3;
        var limit = isConcurrency ? 40 : Limit;
        var burst = algorithm == "TokenBucket" ? 2 : 1;
        var job = new LoadJob(
            redis, algorithm, limit, window, burst, $"exact-{algorithm.ToLowerInvariant()}", Clients, seconds,
            TimeProvider.System.GetUtcNow().AddSeconds(3).ToUnixTimeMilliseconds());
        var answers = await Task.WhenAll(Enumerable.Range(0, Processes).Select(_ => AskAsync(job, cancellationToken)));

        var asked = answers.Sum(answer => answer.Admitted + answer.Refused);
        var admitted = isConcurrency ? AtOnce(answers) : answers.Sum(answer => answer.Admitted);
        var elapsed = answers.Max(answer => answer.Seconds);
        double may = algorithm switch
        {
            "TokenBucket" => limit * burst + limit / (double)window * elapsed,
            // Any window holds at most the limit: so many that begin within the time.
            "SlidingWindow" or "FixedWindow" => limit * Math.Ceiling(elapsed / window),
            _ => limit,
        };
        return new JsonObject
        {
            ["algorithm"] = algorithm,
            ["limit"] = limit,
            ["window_s"] = window,
            ["burst"] = burst,
            ["seconds"] = Math.Round(elapsed, 3),
            ["asked"] = asked,
            ["admitted"] = admitted,
            ["may_be_admitted"] = Math.Floor(may),
            ["holds"] = admitted <= Math.Floor(may),
            ["not_counted_in_redis"] = answers.Sum(answer => answer.NotCounted),
        };
    }

    /// <summary>The most that ran at the same time, over all processes.</summary>
    private static long AtOnce(IEnumerable<LoadAnswer> answers)
    {
        var (running, most) = (0L, 0L);
        var steps = answers.SelectMany(answer => answer.Begins
            .Select(at => (at, Step: 1))
            .Concat(answer.Ends.Select(at => (at, Step: -1))));
        foreach (var (_, step) in steps.OrderBy(step => step.at).ThenBy(step => step.Step))
            most = Math.Max(most, running += step);
        return most;
    }

    private static async Task<LoadAnswer> AskAsync(LoadJob job, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(
            Environment.ProcessPath!, [typeof(ExactStage).Assembly.Location, "load", JsonSerializer.Serialize(job)])
        { RedirectStandardOutput = true })!;
        try
        {
            var line = await process.StandardOutput.ReadLineAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return JsonSerializer.Deserialize<LoadAnswer>(line ?? "null") ?? throw new InvalidOperationException("A load process failed.");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
