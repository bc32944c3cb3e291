using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Usage.Budgets;

namespace ValueCanvas.Api.Usage;

/// <summary>The budgets of a tenant and its keys, and the alerts. What changes one also writes what the caller wants noted.</summary>
internal sealed class BudgetStore(TenantDatabase database, TimeProvider time)
{
    public delegate Task Note(ValueCanvasDbContext db, CancellationToken cancellationToken);

    private const int MostAlerts = 200;

    public Task<BudgetList> ListAsync(Guid tenantId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        // The periods' first days, in the order of their names.
        var (day, week, month) = (Start(BudgetPeriod.Day), Start(BudgetPeriod.Week), Start(BudgetPeriod.Month));
        var total = Start(BudgetPeriod.Total);
        return database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var rows = await db.Database.SqlQuery<BudgetRow>(
                    $"""
                     WITH budgets AS (
                         SELECT NULL::uuid AS api_key_id, b.amount, b.period, b.mode, b.alert_at, b.locked
                         FROM tenant_budgets b WHERE b.tenant_id = {tenantId}
                         UNION ALL
                         SELECT k.id, k.budget_amount, k.budget_period, coalesce(b.mode, 'estimate'),
                                coalesce(b.alert_at, ARRAY[50, 80, 100]), false
                         FROM api_keys k LEFT JOIN tenant_budgets b ON b.tenant_id = k.tenant_id
                         WHERE k.tenant_id = {tenantId} AND k.budget_amount IS NOT NULL AND k.revoked_at IS NULL
                     )
                     SELECT b.api_key_id AS "ApiKeyId", b.amount AS "Amount", b.period AS "Period", b.mode AS "Mode",
                         b.alert_at AS "AlertAt",
                            b.locked AS "Locked",
                            (SELECT coalesce(sum(m.cost), 0) FROM model_usage m
                             WHERE m.tenant_id = {tenantId} AND (b.api_key_id IS NULL OR m.api_key_id = b.api_key_id)
                               AND m.day >= CASE b.period
                                   WHEN 'day' THEN {day} WHEN 'week' THEN {week} WHEN 'month' THEN {month} ELSE {total} END
                            ) AS "Spent"
                     FROM budgets b ORDER BY b.api_key_id
                     """).ToListAsync(ct);
                var all = rows.Select(row => row.ToData(now)).ToArray();
                return new BudgetList(
                    all.FirstOrDefault(budget => budget.ApiKeyId is null), [.. all.Where(budget => budget.ApiKeyId is not null)]);
            },
            cancellationToken);

        DateOnly Start(BudgetPeriod period) => period.StartOf(now);
    }

    /// <summary>False where an operator has set the tenant's, and this is not one.</summary>
    public Task<bool> TrySetAsync(Guid tenantId, BudgetBody body, bool byOperator, Note note, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var set = await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO tenant_budgets AS b (tenant_id, amount, period, mode, alert_at, locked)
                     VALUES ({tenantId}, {body.Amount}, {body.Period}, {body.Mode ?? "estimate"}, {body.Alerts}, {byOperator})
                     ON CONFLICT (tenant_id) DO UPDATE
                     SET amount = excluded.amount, period = excluded.period, mode = excluded.mode, alert_at = excluded.alert_at,
                         locked = excluded.locked, updated_at = clock_timestamp()
                     WHERE {byOperator} OR NOT b.locked
                     """,
                    ct);
                if (set > 0)
                    await note(db, ct);
                return set > 0;
            },
            cancellationToken);

    /// <summary>False where there is none, or an operator has set it and this is not one.</summary>
    public Task<bool> TryDeleteAsync(
        Guid tenantId, bool byOperator, Note note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var deleted = await db.Database.ExecuteSqlAsync(
                $"DELETE FROM tenant_budgets WHERE tenant_id = {tenantId} AND ({byOperator} OR NOT locked)", ct);
            if (deleted > 0)
                await note(db, ct);
            return deleted > 0;
        },
        cancellationToken);

    public Task<bool> ExistsAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        (db, ct) => db.Database.SqlQuery<bool>($"SELECT EXISTS (SELECT FROM tenants WHERE id = {tenantId}) AS \"Value\"").SingleAsync(ct),
        cancellationToken);

    public Task<IReadOnlyList<AlertData>> AlertsAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) => (IReadOnlyList<AlertData>)await db.Database.SqlQuery<AlertData>(
            $"""
             SELECT api_key_id AS "ApiKeyId", period AS "Period", period_start AS "PeriodStart", threshold AS "Threshold",
                 amount AS "Amount",
                    spent AS "Spent", created_at AS "CreatedAt"
             FROM usage_alerts WHERE tenant_id = {tenantId} ORDER BY created_at DESC LIMIT {MostAlerts}
             """).ToListAsync(ct),
        cancellationToken);

    private sealed record BudgetRow(Guid? ApiKeyId, decimal Amount, string Period, string Mode, int[] AlertAt, bool Locked, decimal Spent)
    {
        public BudgetData ToData(DateTimeOffset now)
        {
            var period = BudgetPeriods.Parse(Period);
            return new(
                ApiKeyId, Amount, Period, Mode, AlertAt, Locked, Spent, Math.Max(0, Amount - Spent), period.StartOf(now),
                    period.EndOf(now));
        }
    }
}
