using System.Text;
using System.Text.Json.Nodes;
using static ValueCanvas.ProxyBench.Reports.Tables;

namespace ValueCanvas.QueueBench.Reports;

/// <summary>
/// What the queue wants to reach, and what this run found: the worst setup counts, but for jobs/s, which are of the best.
/// </summary>
internal static class QueueGoals
{
    public static void Append(StringBuilder text, JsonObject result)
    {
        List<(string Goal, string Found, bool Met)> rows = [];
        if (result["enqueue"] is { } enqueue)
            AddRate("at least 1,000 committed submissions a second, over HTTP", (double)enqueue["http"]!["requests_per_second"]!, 1000);
        if (result["jobs"] is JsonArray jobs)
            AddRate("at least 1,500 jobs that do nothing a second", jobs.Max(run => (double)run!["jobs_per_second"]!), 1500);
        if (result["pickup"] is JsonArray pickups)
        {
            AddPickup("started within 60 ms (p99)", hints: true, 60_000);
            AddPickup("started within 350 ms without Redis (p99)", hints: false, 350_000);

            void AddPickup(string goal, bool hints, double most)
            {
                var worst = pickups.Where(run => (bool)run!["hints"]! == hints).Max(run => (double)run!["pickup_us"]!["p99"]!);
                rows.Add((goal, QueueTables.Time(worst), worst <= most));
            }
        }

        if (result["fairness"] is { } fairness)
        {
            var (last, service) = ((double)fairness["ten"]!["last_start_us"]!, (double)fairness["ten"]!["service_ms"]!);
            rows.Add((
                "each of ten jobs beside a backlog of 10,000 starts within 2 service times",
                QueueTables.Time(last),
                last <= 2000 * service));
            var ratio = (double)fairness["weights"]!["ratio"]!;
            rows.Add(("weights 3:1 give 3.0 ± 5 %", Number(ratio, "0.000"), Math.Abs(ratio - 3) <= 0.15));
        }

        foreach (var (name, run) in QueueTables.Peers(result).Where(peer => (string)peer.Run["appendfsync"]! == "always"))
        {
            if (result["enqueue"]?["library"] is { } library)
                AddPeer("submissions", (double)library["jobs_per_second"]!, (double)run["enqueue"]!["jobs_per_second"]!);
            if (result["jobs"] is JsonArray ours)
            {
                AddPeer(
                    "jobs",
                    ours.Max(one => (double)one!["jobs_per_second"]!),
                    run["setups"]!.AsArray().Max(one => (double)one!["jobs_per_second"]!));
            }

            void AddPeer(string what, double we, double they) =>
                rows.Add(($"more {what} a second than {name}", $"{we / they:0.00} ×", we >= they));
        }

        if (rows.Count == 0)
            return;
        AppendGoals(text, rows);

        void AddRate(string goal, double rate, double least) => rows.Add((goal, Number(rate), rate >= least));
    }
}
