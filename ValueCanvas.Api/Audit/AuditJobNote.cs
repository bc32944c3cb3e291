using ValueCanvas.Core.Jobs.Submissions;

namespace ValueCanvas.Api.Audit;

/// <summary>A row that is written where the job is new, in the transaction that submits it.</summary>
internal sealed record AuditJobNote(Guid JobId, AuditRow Row) : JobNote(JobId);
