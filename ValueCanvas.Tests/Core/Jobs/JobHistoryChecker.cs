using System.Data;
using Npgsql;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>
/// Reads the whole history of a queue, and says what must never have happened. It trusts no other column than the history's.
/// </summary>
internal static class JobHistoryChecker
{
    private static readonly string[] Ended = ["succeeded", "failed", "cancelled"];
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>What is wrong with the jobs, as of one moment: also while work goes on.</summary>
    /// <param name="connectionString">As superuser.</param>
    /// <param name="accepted">Jobs that were accepted: each must be there.</param>
    public static async Task<IReadOnlyList<string>> ViolationsAsync(string connectionString, params IEnumerable<Guid> accepted)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var moment = await connection.BeginTransactionAsync(
            IsolationLevel.RepeatableRead, TestContext.Current.CancellationToken);
        var events = await ReadAsync(
            connection, "SELECT job_id, event, state, attempt, run_lease, worker_id FROM llm_job_events ORDER BY job_id, id",
            row => (
                Job: row.GetGuid(0), Event: row.GetString(1), State: row.GetString(2), Attempt: row.GetInt32(3), Lease: row.GetInt64(4)));
        var results = (await ReadAsync(
            connection, "SELECT job_id, run_lease FROM llm_job_results", row => (row.GetGuid(0), row.GetInt64(1))))
            .ToDictionary(row => row.Item1, row => row.Item2);
        var states = (await ReadAsync(connection, "SELECT id, state FROM llm_jobs", row => (row.GetGuid(0), row.GetString(1))))
            .ToDictionary(row => row.Item1, row => row.Item2);

        List<string> found = [.. accepted.Where(id => !states.ContainsKey(id)).Select(id => $"{id}: accepted and lost")];
        foreach (var history in events.GroupBy(item => item.Job))
        {
            var steps = history.ToList();
            Check(steps[0].Event == "submitted" && steps.Count(step => step.Event == "submitted") == 1, "is not submitted first and once");
            Check(steps.Count(step => Ended.Contains(step.State)) <= 1, "ended more than once");
            Check(
                steps.FindIndex(step => Ended.Contains(step.State)) is var end && (end < 0 || end == steps.Count - 1),
                "changed after its end");
            Check(states.GetValueOrDefault(history.Key) == steps[^1].State, "is in a state that its history does not tell");
            for (var i = 1; i < steps.Count; i++)
            {
                var (before, now) = (steps[i - 1], steps[i]);
                if (now.Event == "claimed")
                {
                    Check(before.State is "queued" or "retryable", "was claimed while it ran");
                    Check(now.Lease == before.Lease + 1, "was claimed under a lease that was given out before");
                }
                else
                {
                    Check(now.Lease == before.Lease, $"was {now.Event} under a lease that nobody had");
                    Check(
                        now.Event is "cancelled" or "failed" || before.State == (now.Event == "unblocked" ? "blocked" : "running"),
                        $"was {now.Event} while it did not {(now.Event == "unblocked" ? "wait" : "run")}");
                }
            }

            var succeeded = steps[^1].State == "succeeded";
            Check(results.ContainsKey(history.Key) == succeeded, "has a result without a success, or a success without a result");
            Check(!succeeded || results.GetValueOrDefault(history.Key) == steps[^1].Lease, "has the result of another attempt");

            void Check(bool holds, string problem)
            {
                if (!holds)
                    found.Add($"{history.Key} {problem}: {string.Join(", ", steps.Select(step => $"{step.Event} {step.Lease}"))}");
            }
        }

        found.AddRange(states.Keys.Except(events.Select(item => item.Job)).Select(id => $"{id} has no history"));
        return found;
    }

    /// <summary>
    /// What is wrong with the bill of jobs that asked one question each: whoever succeeded pays one answer, nobody pays two, and the daily
    /// sums are those of the rows.
    /// </summary>
    /// <param name="connectionString">As superuser.</param>
    /// <param name="ended">Jobs whose rows must be there by now.</param>
    public static async Task<IReadOnlyList<string>> ChargeViolationsAsync(string connectionString, IEnumerable<Guid> ended)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var moment = await connection.BeginTransactionAsync(
            IsolationLevel.RepeatableRead, TestContext.Current.CancellationToken);
        var succeeded = await ReadAsync(connection, "SELECT job_id FROM llm_job_results", row => row.GetGuid(0));
        var paid = (await ReadAsync(
                connection, "SELECT job_id, count(*)::integer FROM llm_usage WHERE job_id IS NOT NULL AND cost > 0 GROUP BY job_id",
                row => (Job: row.GetGuid(0), Rows: row.GetInt32(1))))
            .ToDictionary(row => row.Job, row => row.Rows);
        var sums = await ReadAsync(
            connection, "SELECT (SELECT sum(cost) FROM llm_usage) IS NOT DISTINCT FROM (SELECT sum(cost) FROM model_usage)",
            row => row.GetBoolean(0));

        List<string> found = [.. paid.Where(pair => pair.Value > 1).Select(pair => $"{pair.Key} pays {pair.Value} answers")];
        found.AddRange(ended.Intersect(succeeded).Where(job => !paid.ContainsKey(job)).Select(job => $"{job} pays nothing"));
        if (!sums[0])
            found.Add("the daily sums are not those of the rows");
        return found;
    }

    /// <summary>The same once the rows of calls that have ended are there: they come a little later, and some from the disk.</summary>
    public static async Task<IReadOnlyList<string>> SettledChargeViolationsAsync(string connectionString, IReadOnlyCollection<Guid> ended)
    {
        var found = await ChargeViolationsAsync(connectionString, ended);
        for (var i = 0; i < 400 && found.Count > 0; i++)
        {
            await Task.Delay(Pause, TimeProvider.System, TestContext.Current.CancellationToken);
            found = await ChargeViolationsAsync(connectionString, ended);
        }

        return found;
    }

    private static async Task<List<T>> ReadAsync<T>(NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        List<T> rows = [];
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            rows.Add(read(reader));
        return rows;
    }
}
