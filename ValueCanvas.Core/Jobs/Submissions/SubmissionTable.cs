using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs.Submissions;

/// <summary>
/// Submissions with what is noted of them, in one transaction and one round trip: the server commits at the end of the batch.
/// </summary>
internal sealed class SubmissionTable(NpgsqlDataSource dataSource, IServiceScopeFactory scopes, JobNoteWriter? writer)
{
    // For each tenant its own setting of row-level security. The function gets it as an argument, so it is set before.
    private const string Submit =
        """
        SELECT s.outcome, s.jobs, s.detail, s.present
        FROM set_config('app.tenant_id', $1, true) AS t (id)
        CROSS JOIN LATERAL submit_llm_jobs(
            t.id::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
            $26) AS s
        """;

    /// <summary>
    /// Commits, and says what became of each, in the order given. A transaction whose answer got lost is done again, and counts once.
    /// </summary>
    /// <param name="group">Of any tenants.</param>
    /// <param name="waits">False: whoever would have to wait for another transaction is <see cref="StoredSubmission.Busy"/>.</param>
    /// <param name="cancellationToken">Cancels before the commit.</param>
    public async Task<IReadOnlyList<StoredSubmission>> StoreAsync(
        IReadOnlyList<PendingSubmission> group, bool waits, CancellationToken cancellationToken)
    {
        // Held as long as an attempt may still commit: the next one waits for it, and then finds what it has stored.
        var attempt = new Attempt(NewTurn(), group[0].Before, Again: group[0].Before is not null, waits);
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database.CreateExecutionStrategy().ExecuteAsync(
            async ct =>
            {
                await using var connection = await dataSource.OpenConnectionAsync(ct);
                var now = attempt;
                attempt = attempt with { Again = true };
                foreach (var submission in group)
                    submission.Before = attempt.Turn;
                return await ExecuteAsync(connection, group, now, ct);
            },
            cancellationToken);
    }

    private async Task<IReadOnlyList<StoredSubmission>> ExecuteAsync(
        NpgsqlConnection connection, IReadOnlyList<PendingSubmission> group, Attempt attempt, CancellationToken cancellationToken)
    {
        // 1. Tenant by tenant, in one order everywhere.
        var tenants = group.Index().GroupBy(item => item.Item.TenantId).OrderBy(tenant => tenant.Key).ToArray();
        await using var batch = new NpgsqlBatch(connection);
        foreach (var tenant in tenants)
        {
            var submissions = tenant.Select(item => item.Item).ToArray();
            batch.BatchCommands.Add(ToCommand(tenant.Key, submissions, attempt));
            if (writer is not null && submissions.SelectMany(submission => submission.Notes).ToArray() is { Length: > 0 } notes)
                batch.BatchCommands.Add(writer(notes));
        }

        // 2. All results are read: the last of it says that it is committed.
        var stored = new StoredSubmission[group.Count];
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        foreach (var tenant in tenants)
        {
            foreach (var (index, _) in tenant)
            {
                await reader.ReadAsync(cancellationToken);
                stored[index] = new(
                    reader.GetString(0),
                    reader.GetFieldValue<Guid[]>(1),
                    await reader.IsDBNullAsync(2, cancellationToken) ? null : reader.GetString(2),
                    reader.GetFieldValue<DateTimeOffset>(3));
            }

            await reader.NextResultAsync(cancellationToken);
        }

        return stored;
    }

    private static NpgsqlBatchCommand ToCommand(Guid tenantId, PendingSubmission[] submissions, Attempt attempt)
    {
        var command = new NpgsqlBatchCommand(Submit);
        Add(NpgsqlDbType.Text, tenantId.ToString());
        Add(NpgsqlDbType.Bigint, attempt.Turn);
        Add(NpgsqlDbType.Bigint, attempt.Before);
        Add(NpgsqlDbType.Boolean, attempt.Again);
        Add(NpgsqlDbType.Boolean, attempt.Waits);

        AddAll(NpgsqlDbType.Integer, submissions, submission => submission.Jobs.Count);
        AddAll(NpgsqlDbType.Text, submissions, submission => submission.Request?.Key);
        AddAll(NpgsqlDbType.Bytea, submissions, submission => submission.Request?.Fingerprint);

        (SubmittedJob Job, NewJob New, TraceContext Trace)[] jobs =
            [.. submissions.SelectMany(submission => submission.Jobs, (submission, job) => (job, job.New, submission.Trace))];
        AddAll(NpgsqlDbType.Uuid, jobs, item => item.Job.Id);
        AddAll(NpgsqlDbType.Text, jobs, item => item.New.Type);
        AddAll(NpgsqlDbType.Text, jobs, item => item.New.PromptKey);
        AddAll(NpgsqlDbType.Text, jobs, item => item.New.Args);
        AddAll(NpgsqlDbType.Text, jobs, item => item.Job.State.ToName());
        AddAll(NpgsqlDbType.Smallint, jobs, item => item.New.Priority);
        AddAll(NpgsqlDbType.TimestampTz, jobs, item => item.Job.RunAt);
        AddAll(NpgsqlDbType.TimestampTz, jobs, item => item.Job.DeadlineAt);
        AddAll(NpgsqlDbType.Integer, jobs, item => item.New.MaxAttempts);
        AddAll(NpgsqlDbType.Text, jobs, item => item.New.UniqueKey);
        AddAll(NpgsqlDbType.Text, jobs, item => ToName(item.New.OnConflict));
        AddAll(NpgsqlDbType.Uuid, jobs, item => item.New.RetryOf);
        AddAll(NpgsqlDbType.Uuid, jobs, item => item.Job.ParentId);
        AddAll(NpgsqlDbType.Text, jobs, item => item.Job.OnChildFailure);
        AddAll(NpgsqlDbType.Uuid, jobs, item => item.New.SubmitterId);
        AddAll(NpgsqlDbType.Uuid, jobs, item => item.New.SubmitterKeyId);
        AddAll(NpgsqlDbType.Text, jobs, item => item.Trace.Parent);
        AddAll(NpgsqlDbType.Text, jobs, item => item.Trace.State);
        return command;

        void Add<T>(NpgsqlDbType type, T value) =>
            command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value, NpgsqlDbType = type });

        void AddAll<TItem, T>(NpgsqlDbType type, TItem[] items, Func<TItem, T> column) =>
            Add(NpgsqlDbType.Array | type, Array.ConvertAll(items, item => column(item)));
    }

    private static string ToName(JobConflict conflict) => conflict switch
    {
        JobConflict.Keep => "keep",
        JobConflict.Reject => "reject",
        _ => "replace",
    };

    private static long NewTurn()
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        RandomNumberGenerator.Fill(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }

    private readonly record struct Attempt(long Turn, long? Before, bool Again, bool Waits);
}
