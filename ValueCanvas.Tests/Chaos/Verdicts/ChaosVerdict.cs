using Npgsql;
using ValueCanvas.Tests.Chaos.Fleet;
using ValueCanvas.Tests.Core.Jobs;

namespace ValueCanvas.Tests.Chaos.Verdicts;

/// <summary>What history, books and results say about jobs that were accepted, all of which have ended.</summary>
/// <param name="Lost">Accepted, and not there.</param>
/// <param name="History">Transitions that must not be: among them every end but one.</param>
/// <param name="Charges">Jobs that pay nothing or more than one answer, and sums that are not those of the rows.</param>
/// <param name="Others">Wrong texts, wrong answers of the Api, two jobs of one key.</param>
internal sealed record ChaosVerdict(
    IReadOnlyList<string> Lost, IReadOnlyList<string> History, IReadOnlyList<string> Charges, IReadOnlyList<string> Others)
{
    public IEnumerable<string> All => [.. Lost, .. History, .. Charges, .. Others];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<ChaosVerdict> ReadAsync(ChaosFleet fleet, KeyValuePair<string, Guid>[] accepted)
    {
        var (admin, jobs) = (fleet.Database.Admin, accepted.Select(pair => pair.Value).ToArray());
        var history = (await JobHistoryChecker.ViolationsAsync(admin, jobs))
            .ToLookup(found => found.EndsWith("accepted and lost", StringComparison.Ordinal));
        var charges = await JobHistoryChecker.SettledChargeViolationsAsync(admin, jobs);
        var others = await StrayAsync(fleet, accepted);
        if (await fleet.Database.ScalarAsync<string>(ChaosJob.WrongResult) is { } wrong)
            others.Add(wrong);
        return new ChaosVerdict([.. history[true]], [.. history[false]], charges, [.. others, .. fleet.Load.Wrong]);
    }

    /// <summary>One job for each key that was sent, and the one that its client was told of.</summary>
    private static async Task<List<string>> StrayAsync(ChaosFleet fleet, KeyValuePair<string, Guid>[] accepted)
    {
        await using var connection = new NpgsqlConnection(fleet.Database.Admin);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand("SELECT id, args->>'prompt' FROM llm_jobs WHERE type = 'chat'", connection);
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        Dictionary<string, Guid> stored = [];
        List<string> found = [];
        while (await reader.ReadAsync(Cancel))
        {
            var (job, key) = (reader.GetGuid(0), await reader.IsDBNullAsync(1, Cancel) ? "" : reader.GetString(1));
            if (fleet.Load.Sent.ContainsKey(key) && !stored.TryAdd(key, job))
                found.Add($"{job} and {stored[key]} came of one key");
        }

        found.AddRange(accepted
            .Where(pair => stored.GetValueOrDefault(pair.Key) != pair.Value).Select(pair => $"{pair.Value} is not its key's"));
        return found;
    }
}
