using System.Text.Json.Nodes;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Providers;

/// <summary>What the response cache did for the tenant within a day.</summary>
internal sealed class TenantCacheStatistics(CacheStatistics statistics) : IStatistics
{
    private static readonly TimeSpan Span = TimeSpan.FromHours(24);

    public string Name => "cache";

    public async ValueTask<JsonNode?> ReadAsync(Caller caller, CancellationToken cancellationToken)
    {
        try
        {
            var report = await statistics.ReadAsync(caller.TenantId, Span, cancellationToken);
            var (answered, asked) = (report.Hits + report.Coalesced + report.Stale, report.Misses);
            return new JsonObject
            {
                ["hours"] = Span.TotalHours,
                ["hits"] = report.Hits,
                ["misses"] = report.Misses,
                ["coalesced"] = report.Coalesced,
                ["stale"] = report.Stale,
                ["hitRate"] = answered + asked == 0 ? null : Math.Round((double)answered / (answered + asked), 4),
                ["savedInputTokens"] = report.SavedInputTokens,
                ["savedOutputTokens"] = report.SavedOutputTokens,
                ["savedCost"] = report.SavedCost,
                ["entries"] = report.Entries,
            };
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            return null;
        }
    }
}
