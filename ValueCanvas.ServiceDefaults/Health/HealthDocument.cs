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
        HealthStatus.Healthy => "healthy",
        HealthStatus.Degraded => "degraded",
        _ => "unhealthy",
    };
}

/// <summary>One dependency: its state, how long the check took, and what is wrong in words that give nothing away.</summary>
internal sealed record ServiceHealth(
    string Status,
    double LatencyMs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HealthDocument))]
internal sealed partial class HealthJsonContext : JsonSerializerContext;
