using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Audit;

/// <summary>What the database itself allows with the audit log, whatever the code does.</summary>
public sealed class AuditTableTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static readonly string Mine = Tenants.Development.ToString();

    [Theory]
    [InlineData("UPDATE audit_log SET event = 'x'")]
    [InlineData("DELETE FROM audit_log")]
    [InlineData("TRUNCATE audit_log")]
    [InlineData("ALTER TABLE audit_log DISABLE ROW LEVEL SECURITY")]
    [InlineData("DROP TABLE audit_log")]
    [InlineData("INSERT INTO audit_log (id, occurred_at, event, outcome, actor_kind) "
        + "VALUES (gen_random_uuid(), now(), 'x', 'success', 'user') ON CONFLICT (id) DO UPDATE SET event = 'y'")]
    public async Task App_ChangingWhatIsWritten_IsRefused(string sql) => await RefusedAsync(database.App, sql);

    [Theory]
    [InlineData("UPDATE audit_log SET event = 'x'")]
    [InlineData("DELETE FROM audit_log")]
    [InlineData("TRUNCATE audit_log")]
    public async Task Operator_ChangingWhatIsWritten_IsRefused(string sql) => await RefusedAsync(database.Operator, sql);

    [Fact]
    public async Task App_RowOfAnotherTenant_IsRefused() => await RefusedAsync(
        database.App, $"{As(Mine)}; {Insert(database.OtherTenant.ToString(), "1 day", "other")}");

    [Fact]
    public async Task App_OfOneTenant_SeesItsRowsAlone()
    {
        await MigratedDatabase.ExecuteAsync(database.Admin, Insert(Mine, "1 day", "seen.mine"));
        await MigratedDatabase.ExecuteAsync(database.Admin, Insert(database.OtherTenant.ToString(), "1 day", "seen.other"));
        await MigratedDatabase.ExecuteAsync(database.Admin, Insert(null, "1 day", "seen.nobodys"));
        const string Seen = "SELECT coalesce(string_agg(event, ' ' ORDER BY event), '') FROM audit_log WHERE event LIKE 'seen.%'";

        Assert.Equal("", await database.ScalarAsync<string>(Seen, database.App));
        Assert.Equal("seen.mine", await ScalarAsAppAsync($"{As(Mine)}; ", Seen));
        Assert.Equal("seen.mine seen.nobodys seen.other", await database.ScalarAsync<string>(Seen, database.Operator));
        Assert.Equal(
            "seen.mine seen.nobodys seen.other",
            await ScalarAsAppAsync($"{As(Mine)}; SELECT set_config('app.audit_all', 'on', true); ", Seen));
    }

    /// <summary>
    /// Row-level security and the lack of rights hold for whoever owns the password; so does the least age of what can be removed.
    /// </summary>
    [Fact]
    public async Task Prune_WithNoRetentionAtAll_KeepsThirtyDays()
    {
        foreach (var age in new[] { "1 hour", "29 days", "31 days", "500 days" })
            await MigratedDatabase.ExecuteAsync(database.Admin, Insert(Mine, age, $"prune {age}"));

        await database.ScalarAsync<int>("SELECT prune_audit_log('0', '0', 1000)", database.App);

        Assert.Equal("prune 1 hour,prune 29 days", await LeftAsync("prune %"));
    }

    [Fact]
    public async Task Prune_DeniedRows_GoSooner()
    {
        foreach (var (age, outcome) in new[] { ("100 days", "success"), ("100 days", "denied"), ("500 days", "failure"),
            ("50 days", "denied") })
        {
            await MigratedDatabase.ExecuteAsync(database.Admin, Insert(null, age, $"sooner {age} {outcome}", outcome));
        }

        await database.ScalarAsync<int>("SELECT prune_audit_log('400 days', '90 days', 1000)", database.App);

        Assert.Equal("sooner 100 days success,sooner 50 days denied", await LeftAsync("sooner %"));
    }

    [Fact]
    public async Task Prune_AtMostSoManyRows_TakesTheOldest()
    {
        foreach (var age in new[] { "600 days", "700 days", "800 days" })
            await MigratedDatabase.ExecuteAsync(database.Admin, Insert(Mine, age, $"step {age}"));

        Assert.Equal(2, await database.ScalarAsync<int>("SELECT prune_audit_log('400 days', '400 days', 2)", database.App));

        Assert.Equal("step 600 days", await LeftAsync("step %"));
    }

    /// <summary>A row that says it is old but was written now stays: an old date is no way to get rid of it.</summary>
    [Fact]
    public async Task Prune_RowWrittenNowWithAnOldDate_KeepsIt()
    {
        await MigratedDatabase.ExecuteAsync(
            database.App,
            $"{As(Mine)}; INSERT INTO audit_log (id, tenant_id, occurred_at, event, outcome, actor_kind) "
            + $"VALUES (gen_random_uuid(), '{Mine}', now() - interval '900 days', 'backdated', 'success', 'user')");

        await database.ScalarAsync<int>("SELECT prune_audit_log('30 days', '30 days', 1000)", database.App);

        Assert.Equal("backdated", await LeftAsync("backdated"));
    }

    private Task<string> LeftAsync(string like) => database.ScalarAsync<string>(
        $"SELECT coalesce(string_agg(event, ',' ORDER BY event), '') FROM audit_log WHERE event LIKE '{like}'");

    private static async Task RefusedAsync(string connection, string sql)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => MigratedDatabase.ExecuteAsync(connection, sql));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    private async Task<string> ScalarAsAppAsync(string settings, string sql)
    {
        await using var connection = new NpgsqlConnection(database.App);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var set = new NpgsqlCommand(settings, connection))
            await set.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (string)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    private static string As(string tenant) => $"SELECT set_config('app.tenant_id', '{tenant}', true)";

    private static string Insert(string? tenant, string age, string @event, string outcome = "success") =>
        $"""
         INSERT INTO audit_log (id, tenant_id, occurred_at, recorded_at, event, outcome, actor_kind)
         VALUES (gen_random_uuid(), {(tenant is null ? "NULL" : $"'{tenant}'")}, now() - interval '{age}', now() - interval '{age}',
                 '{@event}', '{outcome}', 'anonymous')
         """;
}
