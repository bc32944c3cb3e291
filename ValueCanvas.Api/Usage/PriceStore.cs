using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Usage.Pricing;

namespace ValueCanvas.Api.Usage;

/// <summary>The prices that operators set live.</summary>
internal sealed class PriceStore(TenantDatabase database)
{
    public delegate Task Note(ValueCanvasDbContext db, CancellationToken cancellationToken);

    public Task<IReadOnlyList<PriceData>> ListAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) => (IReadOnlyList<PriceData>)await db.Database.SqlQuery<PriceData>(
            $"""
             SELECT model AS "Model", provider AS "Provider", valid_from AS "From", input AS "Input", cached_input AS "CachedInput",
                    output AS "Output", reasoning AS "Reasoning", 'live' AS "Source"
             FROM model_prices ORDER BY model, provider, valid_from DESC
             """).ToListAsync(ct),
        cancellationToken);

    public Task SetAsync(Guid tenantId, Price price, Note note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            await db.Database.ExecuteSqlAsync(
                $"""
                 INSERT INTO model_prices (model, provider, valid_from, input, cached_input, output, reasoning)
                 VALUES ({price.Model}, {price.Provider}, {price.From}, {price.Input}, {price.CachedInput}, {price.Output},
                     {price.Reasoning})
                 ON CONFLICT (model, provider, valid_from) DO UPDATE
                 SET input = excluded.input, cached_input = excluded.cached_input, output = excluded.output, reasoning = excluded.reasoning,
                     updated_at = clock_timestamp()
                 """,
                ct);
            await note(db, ct);
        },
        cancellationToken);

    /// <summary>False where there is none.</summary>
    public Task<bool> TryDeleteAsync(
        Guid tenantId, string model, string provider, DateOnly from, Note note,
        CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var deleted = await db.Database.ExecuteSqlAsync(
                $"DELETE FROM model_prices WHERE model = {model} AND provider = {provider} AND valid_from = {from}", ct);
            if (deleted > 0)
                await note(db, ct);
            return deleted > 0;
        },
        cancellationToken);
}
