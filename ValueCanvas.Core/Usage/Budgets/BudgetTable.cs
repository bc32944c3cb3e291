using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Usage.Pricing;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>Budgets, live prices and alerts in PostgreSQL, as the services follow them.</summary>
internal sealed class BudgetTable(NpgsqlDataSource dataSource, TenantDatabase database, IOptions<UsageOptions> options, TimeProvider time)
{
    /// <summary>Grows with every change of a budget or a price.</summary>
    public async Task<long> RevisionAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT revision FROM usage_revision");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<IReadOnlyList<Budget>> BudgetsAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "SELECT tenant_id, api_key_id, amount, period, mode, alert_at FROM all_budgets()");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<Budget> budgets = [];
        while (await reader.ReadAsync(cancellationToken))
        {
            budgets.Add(new(
                reader.GetGuid(0), await reader.IsDBNullAsync(1, cancellationToken) ? null : reader.GetGuid(1), reader.GetDecimal(2),
                BudgetPeriods.Parse(reader.GetString(3)), Enum.Parse<BudgetMode>(reader.GetString(4), ignoreCase: true),
                reader.GetFieldValue<int[]>(5)));
        }

        return budgets;
    }

    public async Task<IReadOnlyList<Price>> PricesAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            """
            SELECT model, provider, valid_from, input, cached_input, output, reasoning
            FROM model_prices ORDER BY model, provider, valid_from
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<Price> prices = [];
        while (await reader.ReadAsync(cancellationToken))
        {
            prices.Add(new(
                reader.GetString(0), reader.GetString(1), reader.GetFieldValue<DateOnly>(2), reader.GetDecimal(3),
                reader.GetFieldValue<decimal?>(4), reader.GetDecimal(5), reader.GetFieldValue<decimal?>(6)));
        }

        return prices;
    }

    /// <summary>US dollars since a day; null where PostgreSQL does not say in time.</summary>
    public async Task<decimal?> SpentAsync(Budget budget, DateOnly since, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(options.Value.WriteTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            return await database.ExecuteAsync(
                budget.TenantId,
                (db, ct) => db.Database.SqlQuery<decimal>(
                    $"""
                     SELECT coalesce(sum(cost), 0) AS "Value" FROM model_usage
                     WHERE tenant_id = {budget.TenantId} AND day >= {since}
                       AND ({budget.ApiKeyId}::uuid IS NULL OR api_key_id = {budget.ApiKeyId}::uuid)
                     """).SingleAsync(ct),
                joined.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && UsageTable.IsAway(exception))
        {
            return null;
        }
    }

    /// <summary>True where this is the first to tell; of several instances one is.</summary>
    public async Task<bool> TryAlertAsync(BudgetAccount account, int threshold, CancellationToken cancellationToken)
    {
        var (budget, spent) = (account.Budget, BudgetAccount.ToDollars(account.Spent));
        return await database.ExecuteAsync(
            budget.TenantId,
            (db, ct) => db.Database.ExecuteSqlAsync(
                $"""
                 INSERT INTO usage_alerts (tenant_id, api_key_id, period, period_start, threshold, amount, spent)
                 VALUES ({budget.TenantId}, {budget.ApiKeyId}, {budget.Period.ToName()}, {account.Start}, {threshold}, {budget.Amount},
                     {spent})
                 ON CONFLICT DO NOTHING
                 """,
                ct),
            cancellationToken) > 0;
    }
}
