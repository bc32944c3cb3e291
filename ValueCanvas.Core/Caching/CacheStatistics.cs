using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Caching;

/// <summary>
/// What the cache did for a tenant. The saved cost is in US dollars that the models would have cost, as far as they have prices; entries
/// are answers that are kept and fresh.
/// </summary>
public sealed record CacheReport(
    long Hits, long Misses, long Coalesced, long Stale, long SavedInputTokens, long SavedOutputTokens, decimal SavedCost, long Entries,
    IReadOnlyList<CacheReportRow> ByModel);

/// <summary>The counts of one model and prompt of the catalogue; the prompt is empty where callers wrote their own.</summary>
public sealed record CacheReportRow(
    string Model, string Prompt, long Hits, long Misses, long Coalesced, long Stale, long SavedInputTokens, long SavedOutputTokens);

/// <summary>Reads what the response cache has counted; it is some seconds old.</summary>
public sealed class CacheStatistics(TenantDatabase database)
{
    private const int MostRows = 200;

    public Task<CacheReport> ReadAsync(Guid tenantId, TimeSpan since, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var rows = await db.Database.SqlQuery<CacheReportRow>(
                $"""
                 SELECT model AS "Model", prompt_key AS "Prompt", sum(hits)::bigint AS "Hits", sum(misses)::bigint AS "Misses",
                        sum(coalesced)::bigint AS "Coalesced", sum(stale)::bigint AS "Stale",
                        sum(saved_input_tokens)::bigint AS "SavedInputTokens", sum(saved_output_tokens)::bigint AS "SavedOutputTokens"
                 FROM llm_cache_statistics
                 WHERE hour > clock_timestamp() - {since} - interval '1 hour'
                 GROUP BY model, prompt_key
                 ORDER BY sum(hits) + sum(misses) DESC, model, prompt_key
                 """).ToListAsync(ct);
            var kept = await db.Database.SqlQuery<Kept>(
                $"""
                 SELECT coalesce(sum(cost * hit_count), 0) AS "Cost", count(*) FILTER (WHERE expires_at > clock_timestamp()) AS "Entries"
                 FROM llm_cache_entries
                 WHERE expires_at > clock_timestamp() - {since} OR last_hit_at > clock_timestamp() - {since}
                 """).SingleAsync(ct);
            return new CacheReport(
                rows.Sum(row => row.Hits),
                rows.Sum(row => row.Misses),
                rows.Sum(row => row.Coalesced),
                rows.Sum(row => row.Stale),
                rows.Sum(row => row.SavedInputTokens),
                rows.Sum(row => row.SavedOutputTokens),
                kept.Cost,
                kept.Entries,
                [.. rows.Take(MostRows)]);
        },
        cancellationToken);

    private sealed record Kept(decimal Cost, long Entries);
}
