using Npgsql;
using NpgsqlTypes;

namespace ValueCanvas.Api.Audit;

/// <summary>How rows get into <c>audit_log</c>.</summary>
internal static class AuditSql
{
    private const string Insert =
        """
        INSERT INTO audit_log
            (id, tenant_id, occurred_at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, trace_id, source, details)
        SELECT r.id, $2, r.occurred_at, r.event, r.outcome, r.actor_kind, r.actor_id, r.subject_kind, r.subject_id, r.trace_id, r.source,
               r.details::jsonb
        FROM unnest($1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            AS r (id, occurred_at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, trace_id, source, details)
        ON CONFLICT DO NOTHING
        """;

    /// <summary>In the transaction that the connection is in; the rows' one tenant must be its <c>app.tenant_id</c>, or none.</summary>
    public static async Task InsertAsync(NpgsqlConnection connection, AuditRow[] rows, CancellationToken cancellationToken)
    {
        if (rows.Length == 0)
            return;
        await using var command = new NpgsqlCommand(Insert, connection);
        Fill(command.Parameters, rows[0].Tenant, rows);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>In one transaction of their own and one round trip. Writing a row again changes nothing.</summary>
    public static async Task InsertAsync(NpgsqlDataSource dataSource, IEnumerable<AuditRow> rows, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        foreach (var ofTenant in rows.GroupBy(row => row.Tenant))
        {
            // Row-level security takes rows of this tenant alone.
            var tenant = new NpgsqlBatchCommand("SELECT set_config('app.tenant_id', $1, true)");
            tenant.Parameters.Add(new() { Value = ofTenant.Key?.ToString() ?? "", NpgsqlDbType = NpgsqlDbType.Text });
            batch.BatchCommands.Add(tenant);
            var insert = new NpgsqlBatchCommand(Insert);
            Fill(insert.Parameters, ofTenant.Key, [.. ofTenant]);
            batch.BatchCommands.Add(insert);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
    }

    private static void Fill(NpgsqlParameterCollection parameters, Guid? tenant, AuditRow[] rows)
    {
        Add(NpgsqlDbType.Uuid, row => row.Id);
        parameters.Add(new() { Value = (object?)tenant ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        Add(NpgsqlDbType.TimestampTz, row => row.OccurredAt);
        Add(NpgsqlDbType.Text, row => row.Event);
        Add(NpgsqlDbType.Text, row => row.Outcome);
        Add(NpgsqlDbType.Text, row => row.ActorKind);
        Add(NpgsqlDbType.Text, row => row.ActorId);
        Add(NpgsqlDbType.Text, row => row.SubjectKind);
        Add(NpgsqlDbType.Text, row => row.SubjectId);
        Add(NpgsqlDbType.Text, row => row.TraceId);
        Add(NpgsqlDbType.Text, row => row.Source);
        Add(NpgsqlDbType.Text, row => row.Details);

        void Add<T>(NpgsqlDbType type, Func<AuditRow, T> column) =>
            parameters.Add(new() { Value = Array.ConvertAll(rows, row => column(row)), NpgsqlDbType = NpgsqlDbType.Array | type });
    }
}
