using System.Text.Json;
using Npgsql;
using ValueCanvas.Api.Audit;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Audit;

public sealed class AuditLogTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Record_ManyOfSeveralTenants_AreAllWrittenOnceTheServiceHasStopped()
    {
        await using var audit = new AuditWriting(database.App);
        await audit.StartAsync();
        for (var i = 0; i < 1_200; i++)
        {
            audit.Log.Record(null, new("many.done")
            {
                Tenant = (i % 3) switch { 0 => Tenants.Development, 1 => database.OtherTenant, _ => null },
                Subject = new("number", i.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            });
        }

        await audit.StopAsync();

        Assert.Equal(
            "400 400 400",
            await database.ScalarAsync<string>(
                """
                SELECT string_agg(count::text, ' ') FROM
                    (SELECT count(DISTINCT subject_id) AS count FROM audit_log WHERE event = 'many.done' GROUP BY tenant_id) AS counts
                """));
        Assert.Empty(audit.Logged);
    }

    [Fact]
    public async Task Write_InATransactionThatIsRolledBack_LeavesNoRow()
    {
        await using var audit = new AuditWriting(database.App);
        await using var connection = new NpgsqlConnection(database.App);
        await connection.OpenAsync(Cancel);
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await audit.Log.WriteAsync(connection, null, new AuditEvent("rolled.back"), Cancel);
            await transaction.RollbackAsync(Cancel);
        }

        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await audit.Log.WriteAsync(connection, null, new AuditEvent("rolled.on"), Cancel);
            await transaction.CommitAsync(Cancel);
        }

        Assert.Equal("rolled.on", await database.ScalarAsync<string>(
            "SELECT string_agg(event, ' ') FROM audit_log WHERE event LIKE 'rolled.%'"));
    }

    [Fact]
    public async Task Record_WhateverText_IsStoredSmallAndValid()
    {
        await using var audit = new AuditWriting(database.App);
        await audit.StartAsync();
        audit.Log.Record(AuditWriting.From("203.0.113.7"), new("any.text")
        {
            Actor = AuditActor.User(Guid.Empty),
            Subject = new("a\0b\ud800", new string('x', 5_000)),
            Details = [.. Enumerable.Range(0, 100).Select(i => ($"k{i}", (string?)new string('\ud83d', 1_000))), ("late", "x")],
        });
        await audit.StopAsync();

        var row = await database.ScalarAsync<string>("SELECT row_to_json(l)::text FROM audit_log l WHERE event = 'any.text'");
        var json = JsonDocument.Parse(row).RootElement;
        Assert.Equal("a b\ufffd", json.GetProperty("subject_kind").GetString());
        Assert.Equal(200, json.GetProperty("subject_id").GetString()!.Length);
        Assert.Equal(16, json.GetProperty("details").EnumerateObject().Count());
        Assert.True(row.Length < 10_000);
        Assert.DoesNotContain("203.0.113", row, StringComparison.Ordinal);
        Assert.Matches("^[0-9a-f]{24}$", json.GetProperty("source").GetString());
        Assert.Empty(audit.Logged);
    }

    [Fact]
    public async Task Record_RowThatTheDatabaseRefuses_IsToldToTheLogAndTheOthersAreWritten()
    {
        await using var audit = new AuditWriting(database.App);
        audit.Log.Record(null, new("beside.refused"));
        audit.Log.Record(null, new("refused.itself") { Actor = new("martian") });
        audit.Log.Record(null, new("beside.refused"));
        await audit.StartAsync();
        await audit.StopAsync();

        Assert.Equal(2, await database.ScalarAsync<long>("SELECT count(*) FROM audit_log WHERE event = 'beside.refused'"));
        Assert.Contains(audit.Logged, line => line.Contains("Not in the audit log: refused.itself", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Record_WithAFullQueue_SaysInTheLogWhatIsMissing()
    {
        await using var audit = new AuditWriting(
            "Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1", null, ("Audit:MaxQueued", "2"));
        foreach (var name in new[] { "one.done", "two.done", "three.done" })
            audit.Log.Record(null, new(name));

        Assert.StartsWith("Error: Not in the audit log: three.done success by system", Assert.Single(
            audit.Logged), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Record_WithTheDatabaseAwayToTheEnd_SaysInTheLogWhatIsMissing()
    {
        await using var audit = new AuditWriting(
            "Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1", null, ("Audit:StopTimeout", "00:00:01"));
        await audit.StartAsync();
        foreach (var name in new[] { "one.done", "two.done" })
            audit.Log.Record(null, new(name));
        await audit.StopAsync();

        foreach (var name in new[] { "one.done", "two.done" })
            Assert.Single(audit.Logged, line => line.Contains($"Not in the audit log: {name}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Record_WithTheDatabaseAwayForAWhile_IsWrittenWhenItIsBack()
    {
        await using var servers = await Servers.StartAsync(Cancel);
        var admin = await servers.CreateDatabaseAsync("audit", Cancel);
        var app = await ApiDatabase.MigrateAsync(admin);
        await using var audit = new AuditWriting(app + ";Timeout=2;Pooling=false");
        await servers.StopPostgresAsync(Cancel);
        await audit.StartAsync();
        audit.Log.Record(null, new("late.written"));
        await ProxyHost.UntilAsync(
            () => Task.FromResult(audit.Logged.Any(line => line.Contains("wait for the database", StringComparison.Ordinal))));

        await servers.StartPostgresAsync(Cancel);
        await ProxyHost.UntilAsync(async () => await CountAsync(admin) == 1);
        Assert.DoesNotContain(audit.Logged, line => line.Contains("Not in the audit log", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Prune_OldRows_AreGoneAndTheLogSaysHowMany()
    {
        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            """
            INSERT INTO audit_log (id, occurred_at, recorded_at, event, outcome, actor_kind)
            SELECT gen_random_uuid(), now() - age, now() - age, 'old.enough', 'success', 'system'
            FROM unnest(ARRAY['401 days', '500 days', '399 days']::interval[]) AS age
            """);
        await using var audit = new AuditWriting(database.App);
        await audit.StartAsync();

        Assert.Equal(2, await audit.Pruner.PruneAsync(Cancel));
        Assert.Equal(0, await audit.Pruner.PruneAsync(Cancel));
        await audit.StopAsync();

        Assert.Equal(1, await database.ScalarAsync<long>("SELECT count(*) FROM audit_log WHERE event = 'old.enough'"));
        Assert.Equal(
            "2", await database.ScalarAsync<string>(
                "SELECT string_agg(details ->> 'rows', ' ') FROM audit_log WHERE event = 'audit.pruned'"));
    }

    private static async Task<long> CountAsync(string admin)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(admin) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand("SELECT count(*) FROM audit_log WHERE event = 'late.written'", connection);
        return (long)(await command.ExecuteScalarAsync(Cancel))!;
    }
}
