using System.Text.Json.Serialization;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ValueCanvas.ServiceDefaults.Health;

/// <summary>The body of every health endpoint.</summary>
internal sealed record HealthDocument(
    string Status,
    string Version,
    IReadOnlyDictionary<string, string> Checks,
    IReadOnlyDictionary<string, ServiceHealth> Services)
{
    public static string Name(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => HealthNames.Healthy,
        HealthStatus.Degraded => HealthNames.Degraded,
        _ => HealthNames.Unhealthy,
    };
}

/// <summary>How the states are told.</summary>
public static class HealthNames
{
    public const string Healthy = "healthy";
    public const string Degraded = "degraded";
    public const string Unhealthy = "unhealthy";
}

/// <summary>
/// One dependency: its state, how long the check took, what is wrong in words that give nothing away, and the state of its parts (the words
/// among the check's data).
/// </summary>
internal sealed record ServiceHealth(
    string Status,
    double LatencyMs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string>? Parts);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HealthDocument))]
internal sealed partial class HealthJsonContext : JsonSerializerContext;
