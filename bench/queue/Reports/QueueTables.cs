using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using static ValueCanvas.ProxyBench.Reports.Tables;

namespace ValueCanvas.QueueBench.Reports;

/// <summary>A run's figures as Markdown.</summary>
internal static class QueueTables
{
    private const string Ours = "valuecanvas";

    public static string Markdown(JsonObject result, string file)
    {
        var machine = result["machine"]!;
        var text = new StringBuilder();
        text.Append($"Taken {result["started"]} at commit {machine["commit"]}")
            .Append((bool)result["quick"]! ? " with `--quick`: a check of the harness, not a measurement" : "")
            .Append(result["label"] is { } label ? $" ({label})" : "")
            .Append($".\n{machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gb"]} GB; load average before the run ")
            .Append($"{machine["load_before"]}; {Number(result["seconds"])} s a figure, {result["callers"]} callers, ")
            .Append($"{result["concurrency"]} jobs at a time in each worker.\n.NET {machine["dotnet"]}");
        if (result["postgres"] is { } postgres)
            text.Append($", PostgreSQL {postgres["version"]} with fsync {postgres["fsync"]}, ")
                .Append($"synchronous_commit {postgres["synchronous_commit"]}, shared_buffers {postgres["shared_buffers"]}; ")
                .Append($"{Number(result["finished_jobs"])} jobs that had ended in `llm_jobs` ")
                .Append($"({Number(postgres["llm_jobs_mb"])} MB with its indexes)");
        if (result["bullmq"]?["runs"]?[0] is { } peer)
            text.Append($"; BullMQ {peer["version"]} on Node {peer["node"]}");
        text.Append($". Raw figures: `bench/results/{file}`.\n");
        QueueGoals.Append(text, result);
        Enqueue(text, result);
        Jobs(text, result);
        Pickup(text, result);
        Fairness(text, result["fairness"]);
        return text.ToString();
    }

    /// <summary>The peer's runs with the name that the tables give each.</summary>
    public static IEnumerable<(string Name, JsonNode Run)> Peers(JsonObject result) =>
        (result["bullmq"]?["runs"]?.AsArray() ?? []).Select(run => ($"BullMQ, appendfsync {run!["appendfsync"]}", run));

    public static string Time(JsonNode? micros) => (double?)micros switch
    {
        null => "–",
        >= 1000 and var us => (us / 1000).ToString(us >= 100_000 ? "#,0 ms" : "0.0 ms", CultureInfo.InvariantCulture),
        var us => $"{us:0} µs",
    };

    private static void Enqueue(StringBuilder text, JsonObject result)
    {
        text.Append("\n### Submissions\n\n")
            .Append("| queue | jobs/s | p50 | p99 | at half: jobs/s | p50 | p99 |\n|---|---:|---:|---:|---:|---:|---:|\n");
        if (result["enqueue"] is { } ours)
        {
            Row($"{Ours}, over HTTP", ours["http"]!["requests_per_second"], ours["http"]!["latency_us"]!, ours["half"]);
            Row($"{Ours}, its library", ours["library"]!["jobs_per_second"], ours["library"]!["latency_us"]!, null);
        }

        foreach (var (name, run) in Peers(result))
            Row($"{name}, its library", run["enqueue"]!["jobs_per_second"], run["enqueue"]!["latency_us"]!, null);

        void Row(string name, JsonNode? rate, JsonNode latency, JsonNode? half) => text.Append($"| {name} | {Number(rate)} | ")
            .Append($"{Time(latency["p50"])} | {Time(latency["p99"])} | {Number(half?["requests_per_second"])} | ")
            .Append($"{Time(half?["latency_us"]?["p50"])} | {Time(half?["latency_us"]?["p99"])} |\n");
    }

    private static void Jobs(StringBuilder text, JsonObject result)
    {
        text.Append("\n### Jobs that do nothing\n\n")
            .Append("| queue | workers | hints | jobs/s | worker CPU µs/job | WAL bytes/job | machine busy |\n")
            .Append("|---|---:|---|---:|---:|---:|---:|\n");
        foreach (var run in result["jobs"]?.AsArray() ?? [])
            text.Append($"| {Ours} | {run!["workers"]} | {Hints(run)} | {Number(run["jobs_per_second"])} | ")
                .Append($"{Number(run["worker_cpu_us_per_job"])} | {Number(run["wal_bytes_per_job"])} | ")
                .Append($"{(double)run["machine_busy"]! * 100:0} % |\n");
        foreach (var (name, setup) in Setups(result))
            text.Append($"| {name} | {setup["workers"]} | | {Number(setup["jobs_per_second"])} | | | |\n");
    }

    private static void Pickup(StringBuilder text, JsonObject result)
    {
        text.Append("\n### From the submission to the handler, at half of what goes through\n\n")
            .Append("| queue | workers | hints | through/s | jobs/s | p50 | p90 | p99 | p99.9 | submission p50 | p99 |\n")
            .Append("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach (var run in result["pickup"]?.AsArray() ?? [])
            Row(Ours, run!, Hints(run!));
        foreach (var (name, setup) in Setups(result))
            Row(name, setup, "");

        void Row(string name, JsonNode run, string hints)
        {
            var (pickup, submission) = (run["pickup_us"]!, run["submission"]!);
            text.Append($"| {name} | {run["workers"]} | {hints} | {Number(run["through_per_second"])} | ")
                .Append($"{Number(submission["asked_requests_per_second"])} | {Time(pickup["p50"])} | {Time(pickup["p90"])} | ")
                .Append($"{Time(pickup["p99"])} | {Time(pickup["p999"])} | {Time(submission["latency_us"]!["p50"])} | ")
                .Append($"{Time(submission["latency_us"]!["p99"])} |\n");
        }
    }

    private static void Fairness(StringBuilder text, JsonNode? stage)
    {
        if (stage is null)
            return;
        var (ten, weights) = (stage["ten"]!, stage["weights"]!);
        text.Append("\n### Fairness\n\nThree workers with 8 jobs at a time each. One tenant has ")
            .Append($"{Number(ten["backlog"])} jobs waiting that take {ten["service_ms"]} ms each; another submits 10: ")
            .Append($"the last of them starts after {Time(ten["last_start_us"])}, ")
            .Append($"on average they start after {Time(ten["mean_start_us"])}. ")
            .Append($"With weights 3 and 1 {Number(weights["heavy"])} jobs of the one start ")
            .Append($"while {Number(weights["light"])} of the other do: ")
            .Append($"{Number(weights["ratio"], "0.000")} to 1.\n");
    }

    private static IEnumerable<(string Name, JsonNode Setup)> Setups(JsonObject result) =>
        Peers(result).SelectMany(peer => peer.Run["setups"]!.AsArray(), (peer, setup) => (peer.Name, setup!));

    private static string Hints(JsonNode run) => (bool)run["hints"]! ? "Redis" : "none";
}
