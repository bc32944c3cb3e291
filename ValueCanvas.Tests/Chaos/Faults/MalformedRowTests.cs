using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class MalformedRowTests(ChaosFleet fleet) : FaultTest(fleet)
{
    // What no submission leaves in the table: type, prompt key, arguments, and how it must end.
    private static readonly (string Type, string? PromptKey, string Args, string Error)[] Malformed =
    [
        ("chat", null, "[1]", "invalid_arguments"),
        ("chat", null, "null", "invalid_arguments"),
        ("chat", null, """{"messages":[{"role":5}]}""", "invalid_arguments"),
        ("chat", "no.such.prompt", """{"prompt":"Hi"}""", "invalid_arguments"),
        ("chat", null, new string('[', 500) + new string(']', 500), "invalid_arguments"),
        ("batch", null, """{"requests":[null,{"prompt":7}]}""", "invalid_arguments"),
        ("canvas_generation", "canvas.generate", "\"text\"", "invalid_arguments"),
        ("canvas_refinement", null, """{"canvasId":1,"instruction":"Shorter"}""", "invalid_arguments"),
        ("nobody_knows_it", null, "{}", "unknown_type"),
    ];

    [Fact, Trait("fault", "malformed-rows")]
    public Task Rows_Malformed_FailAndHoldNobodyUp() => UnderAsync("malformed rows", async () =>
    {
        List<Guid> jobs = [];
        foreach (var (type, promptKey, args, _) in Malformed)
            jobs.Add(await InsertAsync(type, promptKey, args));

        // Odd, but such that it can be done: times without end, a trace that is none, checkpoints that no job has left.
        List<Guid> odd = [];
        foreach (var checkpoint in (string[])["[]", """{"bases":null,"text":7}""", """{"bases":[],"text":null}"""])
        {
            var key = Guid.NewGuid().ToString("N");
            odd.Add(await InsertAsync("chat", null, $$"""{"prompt":"{{key}}"}""", checkpoint));
        }

        for (var i = 0; i < jobs.Count; i++)
        {
            await Fleet.Database.UntilAsync($"SELECT state = 'failed' FROM llm_jobs WHERE id = '{jobs[i]}'");
            // In its first attempt, but for those that a slow machine lost with their leases.
            Assert.Equal(
                $"{Malformed[i].Error} 1",
                await Fleet.Database.ScalarAsync<string>(
                    $"SELECT error_code || ' ' || attempt - crash_count FROM llm_jobs WHERE id = '{jobs[i]}'"));
        }

        // A time that no claim could reckon with would stop all of them: the table does not take it.
        var refused = await Assert.ThrowsAsync<PostgresException>(() => Fleet.Database.ExecuteAsync(
            $"UPDATE llm_jobs SET run_at = '-infinity' WHERE id = '{odd[0]}'"));
        Assert.StartsWith("23", refused.SqlState, StringComparison.Ordinal);

        foreach (var job in odd)
            await Fleet.Database.UntilAsync($"SELECT state = 'succeeded' FROM llm_jobs WHERE id = '{job}'");
    });

    private async Task<Guid> InsertAsync(string type, string? promptKey, string args, string? checkpoint = null)
    {
        var id = Guid.NewGuid();
        var odd = checkpoint is not null;
        var write = odd
            ? $"""
               INSERT INTO llm_job_checkpoints (job_id, tenant_id, run_lease, data)
               VALUES ('{id}', '{Tenants.Development}', 0, '{checkpoint}');
               """
            : "";
        await Fleet.Database.ExecuteAsync(
            $"""
             INSERT INTO llm_jobs (id, tenant_id, type, prompt_key, args, run_at, deadline_at, traceparent, tracestate)
             VALUES ('{id}', '{Tenants.Development}', '{type}', {(promptKey is null ? "NULL" : $"'{promptKey}'")}, '{args}',
                 now(), {(odd ? "'infinity', 'zz-not-a-trace', '=,='" : "NULL, NULL, NULL")});
             {write}
             """);
        return id;
    }
}
