using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>One request to a model whose answer may be kept.</summary>
/// <param name="Call">On whose behalf.</param>
/// <param name="Kind">What is asked for.</param>
/// <param name="Peek">What the body says of itself.</param>
/// <param name="Key">By what its answer is found.</param>
/// <param name="Risk">The risk that it was given; it may choose another model.</param>
internal sealed record CacheQuestion(InferenceCall Call, AnswerKind Kind, RequestPeek Peek, CacheKey Key, string? Risk)
{
    private const int LongestName = 256;

    /// <summary>As the request names it, within bounds.</summary>
    public string Model { get; } = Shorten(Peek.Model ?? ChatRequest.DefaultModel);

    public FlightMode Mode => FlightMode.Of(Peek);

    public static string Shorten(string name) => name.Length <= LongestName ? name : name[..LongestName];

    /// <summary>Null: the body is none that can be told apart from others with certainty.</summary>
    public static CacheQuestion? Of(
        HttpRequestMessage request, InferenceCall call, AnswerKind kind, RequestPeek peek,
        ReadOnlySpan<byte> body, ResponseCacheOptions options)
    {
        var risk = Header(request, InferenceHeaders.Risk);
        var prompt = call.Prompt is { } known ? $"{known.Key}@{known.Version}" : null;
        string?[] context =
        [
            "1", call.TenantId.ToString("N"), kind.ToString(), AnswerKinds.Query(request), risk, prompt,
            options.Revisions.TryGetValue(peek.Model ?? ChatRequest.DefaultModel, out var revision) ? revision : null,
            .. Meaningful(request),
        ];
        return CanonicalRequest.TryHash(context, body, out var key) ? new(call, kind, peek, key, risk) : null;
    }

    // Headers by which a provider may answer otherwise.
    private static List<string> Meaningful(HttpRequestMessage request)
    {
        List<string>? found = null;
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            if (name.StartsWith("openai-", StringComparison.OrdinalIgnoreCase)
                || name.StartsWith("anthropic-", StringComparison.OrdinalIgnoreCase))
            {
                (found ??= []).Add($"{name.ToLowerInvariant()}: {values}");
            }
        }

        found?.Sort(StringComparer.Ordinal);
        return found ?? [];
    }

    private static string? Header(HttpRequestMessage request, string name) =>
        request.Headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : null;
}
