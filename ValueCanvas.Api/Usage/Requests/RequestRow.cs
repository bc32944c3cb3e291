using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Usage.Requests;

/// <summary>A row of <c>request_logs</c>, as the function <c>record_requests</c> takes it. The route, not the path: paths are the client's
/// to write.
/// </summary>
internal sealed record RequestRow(
    DateTimeOffset CreatedAt, string Method, string Route, int Status, double DurationMs, Guid? TenantId, Guid? UserId, Guid? ApiKeyId,
        string? TraceId,
    string Instance);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(List<RequestRow>))]
internal sealed partial class RequestRowContext : JsonSerializerContext;
