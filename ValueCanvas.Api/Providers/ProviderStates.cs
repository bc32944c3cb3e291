using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Providers;

// What is read of the inference proxy's GET /providers; addresses and fingerprints of keys stay there.
internal sealed record ProviderStates(IReadOnlyList<ProviderState>? Providers);

internal sealed record ProviderState(
    string Name, string Kind, IReadOnlyList<CredentialState> Credentials, IReadOnlyList<ReplicaState> Replicas);

internal sealed record CredentialState(string State)
{
    [JsonIgnore]
    public bool IsReady => State == "ready";
}

internal sealed record ReplicaState(
    string Name, string State, bool Draining, int InFlight, IReadOnlyList<string> Models, IReadOnlyList<BreakerState> Breakers)
{
    [JsonIgnore]
    public bool IsUp => State == "up";
}

internal sealed record BreakerState(
    string Model, string State, int Samples, int Failures, double FailureRatio, DateTimeOffset? OpenUntil, string? LastFailure)
{
    public const string Closed = "closed";
    public const string HalfOpen = "half_open";
    public const string Open = "open";
    public const string ForcedOpen = "forced_open";

    /// <summary>Keeps requests away now; one whose time is over waits for the next request to try.</summary>
    public bool Blocks(DateTimeOffset now) => State is Open or ForcedOpen && (OpenUntil is not { } until || until > now);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProviderStates))]
[JsonSerializable(typeof(ResetAnswer))]
internal sealed partial class ProxyContext : JsonSerializerContext;
