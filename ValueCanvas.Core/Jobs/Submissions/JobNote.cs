using Npgsql;

namespace ValueCanvas.Core.Jobs.Submissions;

/// <summary>What is to be written of a job in the transaction that submits it, where, and only where, the job is new.</summary>
/// <param name="JobId">The new job.</param>
public abstract record JobNote(Guid JobId);

/// <summary>
/// The statement that writes notes of one tenant, those alone whose job is in <c>llm_jobs</c> by then. It may run more than once, and
/// writes a note that is there already no second time.
/// </summary>
public delegate NpgsqlBatchCommand JobNoteWriter(IReadOnlyList<JobNote> notes);
