using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Caching;

namespace ValueCanvas.Api.Cache;

/// <summary>Body of <c>POST /api/cache/invalidate</c>.</summary>
internal sealed record CacheInvalidationBody(IReadOnlyList<string?>? Tags) : IRequestBody
{
    private const int Most = 100;

    public void Validate(RequestErrors errors)
    {
        if (Tags is not { Count: > 0 and <= Most })
        {
            errors.Add(
                "tags",
                $"is required: 1 to {Most} of them, such as model:NAME, prompt:KEY, prompt:KEY@VERSION, your own, or * for all");
        }

        for (var i = 0; i < Tags?.Count; i++)
        {
            if (Tags[i] is not { } tag || !CacheTag.IsTag(tag))
                errors.Add($"tags[{i}]", "must have 1 to 200 printable ASCII characters, and no space or comma");
        }
    }
}

/// <summary>Body of <c>POST /api/cache/warm</c>: chat completions as <c>POST /v1/chat/completions</c> takes them.</summary>
internal sealed record CacheWarmingBody(IReadOnlyList<JsonElement>? Requests, int? Concurrency) : IRequestBody
{
    public const int Most = 100;
    public const int MostAtOnce = 8;

    public void Validate(RequestErrors errors)
    {
        if (Requests is not { Count: > 0 and <= Most })
            errors.Add("requests", $"is required: 1 to {Most} bodies of chat completions");
        for (var i = 0; i < Requests?.Count; i++)
        {
            if (Requests[i].ValueKind != JsonValueKind.Object)
                errors.Add($"requests[{i}]", "must be an object, the body of a chat completion");
            else if (Requests[i].TryGetProperty("model", out var model) && model.ValueKind != JsonValueKind.String)
                errors.Add($"requests[{i}].model", "must be a string");
        }

        if (Concurrency is < 1 or > MostAtOnce)
            errors.Add("concurrency", $"must be between 1 and {MostAtOnce}");
    }
}

/// <summary>What the cache did in the last hours. The hit rate is null where nothing was asked.</summary>
internal sealed record CacheData(
    int Hours, long Hits, long Misses, long Coalesced, long Stale, double? HitRate, long SavedInputTokens, long SavedOutputTokens,
    decimal SavedCost, long Entries, IReadOnlyList<CacheReportRow> ByModel)
{
    public static CacheData Of(int hours, CacheReport report)
    {
        var answered = report.Hits + report.Coalesced + report.Stale;
        var all = answered + report.Misses;
        return new(
            hours, report.Hits, report.Misses, report.Coalesced, report.Stale, all == 0 ? null : Math.Round((double)answered / all, 4),
            report.SavedInputTokens, report.SavedOutputTokens, report.SavedCost, report.Entries, report.ByModel);
    }
}

internal sealed record CacheInvalidated(IReadOnlyList<string> Tags);

/// <summary>By index in the request: what became of it, and with which status.</summary>
internal sealed record CacheWarmed(int Index, int Status, string Cache);

internal sealed record CacheWarmingData(int Warmed, int Failed, IReadOnlyList<CacheWarmed> Results);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CacheInvalidationBody))]
[JsonSerializable(typeof(CacheWarmingBody))]
[JsonSerializable(typeof(Envelope<CacheData>))]
[JsonSerializable(typeof(Envelope<CacheInvalidated>))]
[JsonSerializable(typeof(Envelope<CacheWarmingData>))]
internal sealed partial class CacheContext : JsonSerializerContext;
