using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Chat;

/// <summary>
/// A finished chat answer. The model is the one that answered, by its server's name; the provider is null where the inference proxy did not
/// name it; the cost is in US dollars and null where the model has no price; requestId is the trace that the request is found by.
/// </summary>
internal sealed record ChatData(
    string Response,
    string Model,
    string? Provider,
    bool Cached,
    string FinishReason,
    ChatUsage? Usage,
    decimal? Cost,
    double LatencyMs,
    string RequestId)
{
    public static ChatData From(ChatCompletion completion, InferenceOutcome outcome, TimeSpan latency, string requestId) => new(
        completion.Text,
        completion.Model,
        completion.Provider,
        outcome.Cache is CacheStatus.Hit or CacheStatus.Stale,
        completion.FinishReason,
        completion.Usage is { } usage ? new(usage.InputTokens, usage.OutputTokens, usage.TotalTokens) : null,
        outcome.Cost,
        Math.Round(latency.TotalMilliseconds, 1),
        requestId);
}

internal sealed record ChatUsage(int InputTokens, int OutputTokens, int TotalTokens);

/// <summary>One event of a streamed answer.</summary>
internal sealed record ChatDeltaData(string Delta);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ChatBody))]
[JsonSerializable(typeof(Envelope<ChatData>))]
[JsonSerializable(typeof(ChatDeltaData))]
internal sealed partial class ChatContext : JsonSerializerContext;
