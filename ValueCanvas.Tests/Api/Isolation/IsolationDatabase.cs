using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Isolation;

/// <summary>
/// A migrated database with two tenants, each of which has one user and one row in every table that is anybody's. The rows are made from
/// the catalogue, so that a table that comes later is tested without a word said about it.
/// </summary>
public sealed partial class IsolationDatabase(ServersFixture servers) : IAsyncLifetime
{
    private NpgsqlDataSource _app = null!;
    private NpgsqlDataSource _admin = null!;

    public string Admin { get; private set; } = "";

    public string App { get; private set; } = "";

    /// <summary>Tables with row-level security that the application may do anything with, or its functions.</summary>
    public IReadOnlyList<string> Tables { get; private set; } = [];

    public Owner A { get; private set; } = null!;

    public Owner B { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Admin = new NpgsqlConnectionStringBuilder(
            await servers.CreateMigratedDatabaseAsync("isolation")) { Pooling = false }.ConnectionString;
        App = ApiDatabase.AsApp(Admin);
        (_admin, _app) = (Pooled(Admin), Pooled(App));
        var columns = await ReadColumnsAsync();
        Tables = [.. columns.Select(column => column.Table).Distinct()];
        A = await FillAsync(columns);
        B = await FillAsync(columns);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        await _admin.DisposeAsync();
    }

    /// <summary>What the statement gives as the application: the first column of each row; null where it is refused (42501).</summary>
    public async Task<(bool Refused, int Affected, IReadOnlyList<object> Values)> AsAppAsync(Owner? owner, string sql)
    {
        await using var connection = await _app.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
        if (owner is not null)
        {
            await using var name = new NpgsqlCommand(
                $"SELECT set_config('app.tenant_id', '{owner.Tenant}', true), set_config('app.user_id', '{owner.User}', true)", connection);
            await name.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        try
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
            List<object> values = [];
            while (await reader.ReadAsync(TestContext.Current.CancellationToken))
                values.Add(reader.GetValue(0));
            return (false, reader.RecordsAffected, values);
        }
        catch (PostgresException refused) when (refused.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            return (true, 0, []);
        }
    }

    public async Task<IReadOnlyList<string>> NamesAsync(string sql)
    {
        await using var connection = await _admin.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        List<string> names = [];
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            names.Add(reader.GetString(0));
        return names;
    }

    /// <summary>An INSERT of the owner's row in the table, with values in the place of some of its own.</summary>
    public static string InsertLike(Owner owner, string table, params (string Column, string Literal)[] instead)
    {
        var values = owner.Rows[table].Literals.ToDictionary();
        foreach (var (column, literal) in instead)
            values[column] = literal;
        return $"INSERT INTO {table} ({string.Join(", ", values.Keys)}) VALUES ({string.Join(", ", values.Values)})";
    }

    private static NpgsqlDataSource Pooled(string connectionString) =>
        NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = true });

    private async Task<Owner> FillAsync(IReadOnlyList<Column> columns)
    {
        var owner = new Owner(Guid.NewGuid(), Guid.NewGuid());
        var missing = Tables.ToList();
        while (missing.Count > 0)
        {
            // A table whose row needs no row of another that is missing yet.
            var table = missing.Find(table => columns.Where(column => column.Table == table && column.IsNeeded).All(column =>
                column.Target is null || column.Target == table || !missing.Contains(column.Target)));
            Assert.True(table is not null, $"No order for {string.Join(", ", missing)}");
            var literals = columns.Where(column => column.Table == table && column.IsNeeded)
                .ToDictionary(column => column.Name, column => Literal(column, owner));
            var insert = $"INSERT INTO {table} ({string.Join(", ", literals.Keys)}) VALUES ({string.Join(", ", literals.Values)})";
            try
            {
                await MigratedDatabase.ExecuteAsync(Admin, insert);
            }
            catch (PostgresException refused)
            {
                Assert.Fail($"Say in {nameof(Literal)} what a row of {table} needs: {refused.MessageText}\n{insert}");
            }

            owner.Rows[table] = new(literals, Key(table, columns, literals, owner));
            missing.Remove(table);
        }

        return owner;
    }

    // By what the row is known to be its owner's: its tenant, else its own id or what it belongs to.
    private static string Key(string table, IReadOnlyList<Column> columns, Dictionary<string, string> literals, Owner owner)
    {
        if (literals.ContainsKey("tenant_id"))
            return $"tenant_id = '{owner.Tenant}'";
        var column = columns.Where(column => column.Table == table && literals.ContainsKey(column.Name))
            .OrderByDescending(column => column.Target is not null).ThenByDescending(column => column.Name == "id").First();
        return $"{column.Name} = {literals[column.Name]}";
    }

    private static string Literal(Column column, Owner owner) => (column.Table, column.Name, column.Target) switch
    {
        ("tenants", "id", _) or (_, "tenant_id", _) => $"'{owner.Tenant}'",
        ("users", "id", _) or (_, "user_id", _) => $"'{owner.User}'",
        ("audit_log", "outcome", _) => "'success'",
        (_, _, { } target) when target != column.Table && owner.Rows.TryGetValue(target, out var row) => row.Literals[column.TargetColumn!],
        _ when Choice().Match(column.Check ?? "") is { Success: true } choice => $"'{choice.Groups[1].Value}'",
        _ => column.Type switch
        {
            "uuid" => $"'{Guid.NewGuid()}'",
            "text" => $"'{Guid.NewGuid():N}'",
            "bytea" => $"sha256('{Guid.NewGuid()}')",
            "boolean" => "false",
            "jsonb" or "json" => "'{}'",
            "inet" or "cidr" => "'192.0.2.1'",
            "interval" => "interval '1 minute'",
            "date" => "current_date",
            _ when column.Type.StartsWith("timestamp", StringComparison.Ordinal) => "now() + interval '1 day'",
            _ when column.Type.EndsWith("[]", StringComparison.Ordinal) => "'{}'",
            _ => "1",
        },
    };

    private async Task<IReadOnlyList<Column>> ReadColumnsAsync()
    {
        await using var connection = await _admin.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, NULL), f.relname, fa.attname,
                   (SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
                    WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]),
                   (a.attnotnull AND NOT a.atthasdef AND a.attidentity = '') OR a.attname = 'tenant_id'
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            LEFT JOIN LATERAL (
                SELECT k.confrelid, k.confkey[array_position(k.conkey, a.attnum)] AS attnum
                FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)
                ORDER BY array_length(k.conkey, 1) DESC LIMIT 1) k ON true
            LEFT JOIN pg_class f ON f.oid = k.confrelid
            LEFT JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.attnum
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND NOT c.relispartition
              AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
            ORDER BY c.relname, a.attnum
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        List<Column> columns = [];
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            columns.Add(new(
                reader.GetString(0), reader.GetString(1), reader.GetString(2), Text(3), Text(4), Text(5), reader.GetBoolean(6)));
        }

        return columns;

        string? Text(int column) => reader.IsDBNull(column) ? null
            : Convert.ToString(reader.GetValue(column), CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("= ANY \\(ARRAY\\['([^']*)'")]
    private static partial Regex Choice();

    private sealed record Column(
        string Table, string Name, string Type, string? Target, string? TargetColumn, string? Check, bool IsNeeded);

    /// <summary>A tenant and its user; of each table the row that is theirs.</summary>
    public sealed record Owner(Guid Tenant, Guid User)
    {
        public Dictionary<string, Row> Rows { get; } = [];
    }

    /// <param name="Literals">By column, as they stand in SQL.</param>
    /// <param name="Key">A condition that holds for rows of this owner alone.</param>
    public sealed record Row(IReadOnlyDictionary<string, string> Literals, string Key);
}
