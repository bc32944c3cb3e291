using System.Globalization;
using Microsoft.Extensions.Primitives;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Cache;

/// <summary>What a request says of the response cache: <c>Cache-Control</c>, and <c>x-cache-tags</c> with names behind commas.</summary>
internal static class CacheRequest
{
    private const int MostTags = 16;

    /// <param name="request">The client's.</param>
    /// <param name="unsaid">What holds where it says nothing.</param>
    public static CacheControl CacheControl(this HttpRequest request, CacheControl unsaid)
    {
        var (said, tags) = (request.Headers.CacheControl, request.Headers[CacheHeaders.Tags]);
        if (said.Count == 0 && tags.Count == 0)
            return unsaid;

        var (noCache, noStore, maxAge) = (false, false, (TimeSpan?)null);
        foreach (var directive in Parts(said))
        {
            noCache |= directive.Equals("no-cache", StringComparison.OrdinalIgnoreCase);
            noStore |= directive.Equals("no-store", StringComparison.OrdinalIgnoreCase);
            if (directive.StartsWith("max-age=", StringComparison.OrdinalIgnoreCase)
                && long.TryParse(directive.AsSpan("max-age=".Length)
                    .Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            {
                maxAge = TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue));
            }
        }

        if (noCache && noStore)
            return Core.Inference.CacheControl.Never;
        // Whoever says how old an answer may be is content with one that is kept.
        var use = maxAge > TimeSpan.Zero && unsaid.Use == CacheUse.WhenDeterministic ? CacheUse.Always : unsaid.Use;
        return unsaid with
        {
            Use = use,
            Refresh = noCache || maxAge == TimeSpan.Zero,
            NoStore = noStore,
            MaxAge = maxAge,
            Tags = tags.Count == 0 ? [] : [.. Parts(tags).Where(CacheTag.IsTag).Distinct(StringComparer.Ordinal).Take(MostTags)],
        };
    }

    private static IEnumerable<string> Parts(StringValues values)
    {
        foreach (var value in values)
        {
            foreach (var part in value?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [])
                yield return part;
        }
    }
}
