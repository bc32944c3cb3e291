using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Providers;

/// <summary>How the models are, for whoever asks: <c>success</c> is false, and the status 503, where none can answer.</summary>
internal sealed record LlmHealth(bool Success, LlmHealthData Data);

internal sealed record LlmHealthData(string Status, IReadOnlyDictionary<string, ProviderBrief> Providers);

internal sealed record ProviderBrief(string Status, string State, int Replicas, int Available);

/// <summary>Body of <c>POST /api/llm/reset</c>, which may be left out: everything is reset then.</summary>
internal sealed record ResetBody(string? Provider, string? Model) : IRequestBody
{
    private const int MaxNameLength = 256;

    public void Validate(RequestErrors errors)
    {
        if (Provider is { Length: 0 or > MaxNameLength })
            errors.Add("provider", $"must have 1 to {MaxNameLength} characters; leave it out for all");
        if (Model is { Length: 0 or > MaxNameLength })
            errors.Add("model", $"must have 1 to {MaxNameLength} characters; leave it out for all");
    }
}

/// <summary>Which model servers' breakers were reset, which could not be, and which proxies follow.</summary>
internal sealed record ResetData(IReadOnlyList<string> Reset, IReadOnlyList<string> Failed, string Scope, string? Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LlmHealth))]
[JsonSerializable(typeof(ResetBody))]
[JsonSerializable(typeof(ProviderView))]
[JsonSerializable(typeof(Envelope<JsonObject>))]
[JsonSerializable(typeof(Envelope<ResetData>))]
internal sealed partial class ProviderContext : JsonSerializerContext;
