using Npgsql;
using ValueCanvas.Core.Database.Migrations;

namespace ValueCanvas.Tests.Api.Isolation;

/// <summary>Every table × every verb × who asks: nobody gets a row that is another's.</summary>
public sealed class TableIsolationTests(IsolationDatabase database) : IClassFixture<IsolationDatabase>
{
    /// <summary>Nobody's, so without row-level security; each for a reason.</summary>
    private static readonly string[] Global =
    [
        "__EFMigrationsHistory",    // the schema's
        "signing_keys",             // the installation's, sealed
        "rate_limit_policies", "rate_limit_revision", // the operators', for all
        "model_prices", "usage_revision",             // the operators', for all
        "system_metrics",                             // of processes
        "rate_limit_subjects", "rate_limit_logs",     // of callers and addresses; only the operators' routes read them
    ];

    /// <summary>Row-level security and no policy: only SECURITY DEFINER functions get at them.</summary>
    private static readonly string[] BehindFunctions =
        ["access_changes", "llm_job_clock", "llm_job_shares", "llm_queue", "password_resets"];

    [Fact]
    public async Task EveryTable_IsForced_OrListedAsGlobal()
    {
        var open = await database.NamesAsync(
            """
            SELECT c.relname::text FROM pg_class c
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace = 'public'::regnamespace
              AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            ORDER BY 1
            """);
        Assert.Equal(Global.Order(StringComparer.Ordinal), open.Order(StringComparer.Ordinal));

        var withoutPolicy = await database.NamesAsync(
            """
            SELECT c.relname::text FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND NOT c.relispartition
              AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
            ORDER BY 1
            """);
        Assert.Equal(BehindFunctions, withoutPolicy);
    }

    [Fact]
    public async Task Select_OfAnothersRows_FindsNone()
    {
        foreach (var (table, me, other) in Cases())
        {
            var (refused, _, values) = await database.AsAppAsync(me, $"SELECT 1 FROM {table} WHERE {other.Rows[table].Key}");
            Assert.True(refused || values.Count == 0, $"{table}: {values.Count} foreign rows");
            if (me is null)
            {
                (refused, _, values) = await database.AsAppAsync(null, $"SELECT 1 FROM {table}");
                Assert.True(refused || values.Count == 0, $"{table}: {values.Count} rows without a tenant");
            }
        }
    }

    [Fact]
    public async Task Select_OfOnesOwnRows_FindsThem()
    {
        // Else the tests above and below would pass where nobody sees anything. Write-only tables are refused.
        var seen = 0;
        foreach (var table in database.Tables)
        {
            var (refused, _, values) = await database.AsAppAsync(database.A, $"SELECT 1 FROM {table} WHERE {database.A.Rows[table].Key}");
            Assert.True(refused || values.Count > 0, $"{table}: the owner sees nothing");
            seen += refused ? 0 : 1;
        }

        Assert.True(seen >= 8, $"{seen} tables are readable");
    }

    [Fact]
    public async Task UpdateAndDelete_OfAnothersRows_TouchNone()
    {
        foreach (var (table, me, other) in Cases())
        {
            foreach (var column in await UpdatableAsync(table))
            {
                var (refused, affected, _) = await database.AsAppAsync(
                    me, $"UPDATE {table} SET {column} = {column} WHERE {other.Rows[table].Key}");
                Assert.True(refused || affected == 0, $"UPDATE {table}.{column}: {affected} foreign rows");
            }

            var (isRefused, deleted, _) = await database.AsAppAsync(me, $"DELETE FROM {table} WHERE {other.Rows[table].Key}");
            Assert.True(isRefused || deleted == 0, $"DELETE {table}: {deleted} foreign rows");
        }
    }

    [Fact]
    public async Task Insert_InAnothersName_IsRefused()
    {
        foreach (var (table, me, other) in Cases())
        {
            // Tenants and users are made by whoever registers, under the name that they will have.
            if (table is "tenants" or "users")
                continue;
            var (refused, _, _) = await database.AsAppAsync(me, IsolationDatabase.InsertLike(other, table));
            Assert.True(refused, $"INSERT INTO {table} in another's name was not refused");
        }

        foreach (var table in (string[])["tenants", "users"])
        {
            var insert = IsolationDatabase.InsertLike(database.B, table, ("id", $"'{Guid.NewGuid()}'"));
            Assert.True((await database.AsAppAsync(database.A, insert)).Refused, insert);
            Assert.True((await database.AsAppAsync(null, insert)).Refused, insert);
        }
    }

    [Fact]
    public async Task Update_ThatGivesOnesRowToAnother_IsRefused()
    {
        foreach (var table in database.Tables)
        {
            var columns = await database.NamesAsync(
                $"""
                 SELECT column_name::text FROM information_schema.columns
                 WHERE table_name = '{table}' AND column_name IN ('tenant_id', 'user_id')
                 """);
            foreach (var column in columns)
            {
                var value = column == "tenant_id" ? database.B.Tenant : database.B.User;
                var (refused, affected, _) = await database.AsAppAsync(
                    database.A, $"UPDATE {table} SET {column} = '{value}' WHERE {database.A.Rows[table].Key}");
                Assert.True(refused || affected == 0, $"UPDATE {table} SET {column}: {affected} rows given away");
            }
        }
    }

    [Fact]
    public async Task Truncate_IsRefused()
    {
        foreach (var table in database.Tables)
            Assert.True((await database.AsAppAsync(database.A, $"TRUNCATE {table} CASCADE")).Refused, table);
    }

    [Fact]
    public async Task Application_CanBecomeNobodyElse()
    {
        foreach (var role in (string[])[DatabaseRoles.Definer, DatabaseRoles.Operator, "postgres"])
            Assert.True((await database.AsAppAsync(database.A, $"SET ROLE {role}")).Refused, role);
        Assert.True((await database.AsAppAsync(database.A, "CREATE TABLE mine (id int)")).Refused);
        Assert.True((await database.AsAppAsync(database.A, "ALTER TABLE canvases DISABLE ROW LEVEL SECURITY")).Refused);
        Assert.True((await database.AsAppAsync(database.A, "SELECT pg_read_file('/etc/passwd')")).Refused);
    }

    [Fact]
    public async Task Operator_SeesEveryTenant()
    {
        var connection = new NpgsqlConnectionStringBuilder(database.Admin)
        {
            Username = DatabaseRoles.Operator,
            Password = Core.Database.MigratedDatabase.OperatorPassword,
        }.ConnectionString;
        await using var source = NpgsqlDataSource.Create(connection);
        foreach (var table in database.Tables)
        {
            foreach (var owner in (IsolationDatabase.Owner[])[database.A, database.B])
            {
                await using var command = source.CreateCommand($"SELECT count(*) FROM {table} WHERE {owner.Rows[table].Key}");
                Assert.True((long)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))! > 0, table);
            }
        }
    }

    private IEnumerable<(string Table, IsolationDatabase.Owner? Me, IsolationDatabase.Owner Other)> Cases() =>
        database.Tables.SelectMany(table => ((IsolationDatabase.Owner?, IsolationDatabase.Owner)[])
            [(database.A, database.B), (database.B, database.A), (null, database.A)], (table, pair) => (table, pair.Item1, pair.Item2));

    private async Task<IReadOnlyList<string>> UpdatableAsync(string table)
    {
        var allowed = await database.NamesAsync(
            $"""
             SELECT column_name::text FROM information_schema.column_privileges
             WHERE table_name = '{table}' AND grantee = '{DatabaseRoles.App}' AND privilege_type = 'UPDATE'
             """);
        return allowed is [] ? [.. database.A.Rows[table].Literals.Keys.Take(1)] : allowed;
    }
}
