using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using static ValueCanvas.ProxyBench.Reports.Tables;

namespace ValueCanvas.GatewayBench.Reports;

/// <summary>What the gateway wants to reach, and what this run found: the best number of connections, hits of the first level.</summary>
internal static class GatewayGoals
{
    public static void Append(StringBuilder text, JsonObject result)
    {
        List<(string Goal, string Found, bool Met)> rows = [];
        if (result["uncached"]?["cells"] is JsonArray cells)
        {
            var best = cells
                .Where(cell => (string)cell!["target"]! == GatewayBenchmark.Gateway)
                .Max(cell => (double)cell!["requests_per_second"]!);
            rows.Add(("at least 2,000 uncached requests a second", Number(best), best >= 2000));
        }

        if (result["hits"]?["first_level"] is { } hits)
        {
            var rate = (double)hits["loaded"]!["requests_per_second"]!;
            rows.Add(("at least 5,000 hits a second", Number(rate), rate >= 5000));
            AddTime("a hit takes at most 1 ms at p50, one connection", hits["one_connection"]!["latency_us"]!["p50"], 1000);
            AddTime("a hit takes at most 10 ms at p99, one connection", hits["one_connection"]!["latency_us"]!["p99"], 10_000);
            var half = hits["half"]!;
            AddTime("at half of the maximum at most 1 ms at p50", half["latency_us"]!["p50"], 1000);
            AddTime("at half of the maximum at most 10 ms at p99", half["latency_us"]!["p99"], 10_000);
            AddTime("the same, of the median second", half[RateLoad.OfTheMedianSecond]!["p99"], 10_000);
        }

        if (result["accounting"]?["killed"]?["lost"] is { } lost)
            rows.Add(("no row lost over SIGKILL", Number(lost), (double)lost == 0));
        if (rows.Count == 0)
            return;
        AppendGoals(text, rows);

        void AddTime(string goal, JsonNode? micros, double most) =>
            rows.Add((goal, GatewayTables.Time(micros), (double)micros! <= most));
    }
}
