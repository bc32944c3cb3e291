using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Usage;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Providers;

/// <summary>What the tenant's calls of models came to within thirty days, today included; US dollars.</summary>
internal sealed class TenantCostStatistics(UsageReader usage, TimeProvider time) : IStatistics
{
    private const int Days = 30;

    public string Name => "cost";

    public async ValueTask<JsonNode?> ReadAsync(Caller caller, CancellationToken cancellationToken)
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var query = new UsageQuery(today.AddDays(1 - Days), today, [], Model: null, ApiKeyId: null, Prompt: null);
        try
        {
            var total = (await usage.ReadAsync(caller.TenantId, query, cancellationToken)).Total;
            return new JsonObject
            {
                ["from"] = query.From.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
                ["to"] = query.To.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
                ["calls"] = total.Calls,
                ["failed"] = total.Failed,
                ["cached"] = total.Cached,
                ["inputTokens"] = total.InputTokens,
                ["outputTokens"] = total.OutputTokens,
                ["cost"] = total.Cost,
                ["replicaCost"] = total.ReplicaCost,
            };
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            return null;
        }
    }
}
