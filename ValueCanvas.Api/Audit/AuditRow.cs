namespace ValueCanvas.Api.Audit;

/// <summary>One row of <c>audit_log</c>, ready to be written.</summary>
internal sealed record AuditRow(
    Guid Id,
    Guid? Tenant,
    DateTimeOffset OccurredAt,
    string Event,
    string Outcome,
    string ActorKind,
    string? ActorId,
    string? SubjectKind,
    string? SubjectId,
    string? TraceId,
    string? Source,
    string? Details);
