using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Audit;

/// <summary>What of the log is asked for; null: all of it.</summary>
internal sealed record AuditQuery(DateTimeOffset? From, DateTimeOffset? To, string? Event, string? Actor, Guid? Tenant, PageCursor? After);

/// <summary>Reads pages of the log, newest first, each within an index of its own.</summary>
internal sealed class AuditReader(TenantDatabase database)
{
    /// <param name="tenant">Whose transaction it is.</param>
    /// <param name="all">Operators alone: rows of every tenant and of none.</param>
    /// <param name="query">Which rows.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public Task<IReadOnlyList<AuditItem>> ReadAsync(
        Guid tenant, bool all, AuditQuery query, int limit, CancellationToken cancellationToken) =>
        database.ExecuteAsync<IReadOnlyList<AuditItem>>(
            tenant,
            async (db, ct) =>
            {
                if (all)
                    await db.Database.ExecuteSqlAsync($"SELECT set_config('app.audit_all', 'on', true)", ct);
                await using var command = Command(all ? query : query with { Tenant = tenant }, limit);
                command.Connection = (NpgsqlConnection)db.Database.GetDbConnection();
                await using var reader = await command.ExecuteReaderAsync(ct);
                var items = new List<AuditItem>();
                while (await reader.ReadAsync(ct))
                    items.Add(Item(reader));
                return items;
            },
            cancellationToken);

    private static NpgsqlCommand Command(AuditQuery query, int limit)
    {
        var command = new NpgsqlCommand();
        var sql = new StringBuilder(
            """
            SELECT id, tenant_id, occurred_at, event, outcome, actor_kind, actor_id, subject_kind, subject_id, trace_id, source, details
            FROM audit_log
            WHERE true
            """);
        Where("tenant_id = ", query.Tenant);
        Where("occurred_at >= ", query.From);
        Where("occurred_at < ", query.To);
        Where("event = ", query.Event);
        Where("actor_id = ", query.Actor);
        if (query.After is var (at, id))
            sql.Append(" AND (occurred_at, id) < (").Append(Parameter(at)).Append(", ").Append(Parameter(id)).Append(')');
        command.CommandText = sql.Append(" ORDER BY occurred_at DESC, id DESC LIMIT ").Append(Parameter(limit)).ToString();
        return command;

        void Where(string condition, object? value)
        {
            if (value is not null)
                sql.Append(" AND ").Append(condition).Append(Parameter(value));
        }

        string Parameter(object value)
        {
            command.Parameters.Add(new() { Value = value });
            return $"${command.Parameters.Count}";
        }
    }

    private static AuditItem Item(NpgsqlDataReader row) => new(
        row.GetGuid(0),
        Optional<Guid?>(row, 1),
        row.GetFieldValue<DateTimeOffset>(2),
        row.GetString(3),
        row.GetString(4),
        new(row.GetString(5), Optional<string>(row, 6)),
        Optional<string>(row, 7) is { } kind ? new(kind, Optional<string>(row, 8) ?? "") : null,
        Optional<string>(row, 9),
        Optional<string>(row, 10),
        Optional<string>(row, 11) is { } details ? JsonElement.Parse(details) : null);

    private static T? Optional<T>(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? default : row.GetFieldValue<T>(column);
}
