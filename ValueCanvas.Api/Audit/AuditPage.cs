using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Audit;

/// <summary>One row of the log.</summary>
internal sealed record AuditItem(
    Guid Id,
    Guid? TenantId,
    DateTimeOffset OccurredAt,
    string Event,
    string Outcome,
    AuditActor Actor,
    AuditSubject? Subject,
    string? TraceId,
    string? Source,
    JsonElement? Details);

/// <summary>A page of the log, newest first; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record AuditPage(IReadOnlyList<AuditItem> Items, string? NextCursor);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Envelope<AuditPage>))]
internal sealed partial class AuditContext : JsonSerializerContext;
