using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Jobs.Submissions;

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

    private const string InsertOfJobs =
        """
        INSERT INTO audit_log
            (id, tenant_id, occurred_at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, trace_id, source, details)
        SELECT r.id, $2, r.occurred_at, r.event, r.outcome, r.actor_kind, r.actor_id, r.subject_kind, r.subject_id, r.trace_id, r.source,
               r.details::jsonb
        FROM unnest($1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            AS r (id, occurred_at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, trace_id, source, details, job)
        WHERE EXISTS (SELECT FROM llm_jobs j WHERE j.id = r.job)
        ON CONFLICT DO NOTHING
        """;

    /// <summary>As part of a batch, after what submits the jobs: rows of those that were refused are left out.</summary>
    public static NpgsqlBatchCommand InsertOf(IReadOnlyList<JobNote> notes)
    {
        var command = new NpgsqlBatchCommand(InsertOfJobs);
        AuditJobNote[] rows = [.. notes.Cast<AuditJobNote>()];
        Fill(command.Parameters, rows[0].Row.Tenant, Array.ConvertAll(rows, note => note.Row));
        command.Parameters.Add(new()
        {
            Value = Array.ConvertAll(rows, note => note.JobId), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid,
        });
        return command;
    }

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
