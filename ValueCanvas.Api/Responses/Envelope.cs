using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Responses;

/// <summary>What every success under /api looks like: <c>{"success":true,"data":…}</c>. Failures are problem+json.</summary>
internal sealed record Envelope<T>(T Data)
{
    [JsonPropertyOrder(-1)]
    public bool Success { get; } = true;
}

internal static class Envelope
{
    public static Envelope<T> Of<T>(T data) => new(data);
}
