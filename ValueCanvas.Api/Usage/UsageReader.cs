using System.Text;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Usage;

/// <summary>Sums the tenant's days; calls themselves are not read for it.</summary>
internal sealed class UsageReader(TenantDatabase database)
{
    private const string Sums =
        """
        coalesce(sum(calls), 0)::bigint, coalesce(sum(failed), 0)::bigint, coalesce(sum(cached), 0)::bigint,
        coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(cached_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint,
        coalesce(sum(reasoning_tokens), 0)::bigint, coalesce(sum(cost), 0), coalesce(sum(replica_seconds), 0),
        coalesce(sum(replica_cost), 0)
        """;

    public Task<UsageReport> ReadAsync(Guid tenantId, UsageQuery query, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var connection = (NpgsqlConnection)db.Database.GetDbConnection();
            var items = await ReadAsync(connection, tenantId, query, query.By, ct);
            var total = await ReadAsync(connection, tenantId, query, [], ct);
            return new UsageReport(query.From, query.To, query.By, items, total[0]);
        },
        cancellationToken);

    private static async Task<List<UsageItem>> ReadAsync(
        NpgsqlConnection connection, Guid tenantId, UsageQuery query, IReadOnlyList<string> by, CancellationToken cancellationToken)
    {
        var groups = by.SelectMany(Columns).ToArray();
        var sql = new StringBuilder("SELECT ");
        foreach (var column in (string[])["day", "model", "provider", "api_key_id", "prompt_key"])
            sql.Append(groups.Contains(column) ? column : $"NULL::{TypeOf(column)}").Append(", ");
        sql.Append(Sums).Append(" FROM model_usage WHERE tenant_id = $1 AND day BETWEEN $2 AND $3");
        await using var command = new NpgsqlCommand { Connection = connection };
        command.Parameters.Add(new() { Value = tenantId });
        command.Parameters.Add(new() { Value = query.From });
        command.Parameters.Add(new() { Value = query.To });
        Where("model", query.Model);
        Where("api_key_id", query.ApiKeyId);
        Where("prompt_key", query.Prompt);
        if (groups.Length > 0)
            sql.Append(" GROUP BY ").AppendJoin(", ", groups).Append(" ORDER BY ").AppendJoin(", ", groups);
        command.CommandText = sql.ToString();

        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<UsageItem> items = [];
        while (await reader.ReadAsync(cancellationToken))
            items.Add(Item(reader));
        return items;

        void Where(string column, object? value)
        {
            if (value is null)
                return;
            command.Parameters.Add(new() { Value = value });
            sql.Append(" AND ").Append(column).Append(" = $").Append(command.Parameters.Count);
        }
    }

    private static string[] Columns(string dimension) => dimension switch
    {
        "day" => ["day"],
        "model" => ["model", "provider"],
        "key" => ["api_key_id"],
        _ => ["prompt_key"],
    };

    private static string TypeOf(string column) => column switch { "day" => "date", "api_key_id" => "uuid", _ => "text" };

    private static UsageItem Item(NpgsqlDataReader row) => new(
        Optional<DateOnly?>(row, 0), Optional<string>(row, 1), Optional<string>(row, 2), Optional<Guid?>(row, 3), Optional<string>(row, 4),
            row.GetInt64(5), row.GetInt64(6), row.GetInt64(7), row.GetInt64(8), row.GetInt64(9), row.GetInt64(10),
        row.GetInt64(11), row.GetDecimal(12), row.GetDouble(13), row.GetDecimal(14));

    private static T? Optional<T>(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? default : row.GetFieldValue<T>(column);
}
