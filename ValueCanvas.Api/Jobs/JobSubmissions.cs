using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Jobs;

/// <summary>From a request to committed jobs: validate, check what it may, store once for its Idempotency-Key.</summary>
internal sealed class JobSubmissions(JobStore jobs, TenantDatabase database, PromptCatalog prompts, AuditLog audit, TimeProvider time)
{
    public const string KeyHeader = "Idempotency-Key";
    public const string ReplayedHeader = "Idempotency-Replayed";

    private const int LongestKey = 255;
    private static readonly TimeSpan FullWait = TimeSpan.FromSeconds(5);

    /// <exception cref="RequestException">422, 409, 429, 403 or 400, saying what to change.</exception>
    public async Task<(IReadOnlyList<Job> Jobs, bool AnyNew)> SubmitAsync(
        IReadOnlyList<JobBody> bodies, bool isBulk, Caller caller, HttpContext context, CancellationToken cancellationToken)
    {
        var request = RequestOf(bodies, isBulk, context);

        // 1. What cannot succeed is not accepted.
        var errors = new RequestErrors();
        var now = await PresentAsync(bodies, caller, cancellationToken);
        var accepted = bodies.Select((body, index) => body.ToJob(caller, prompts, now, errors, isBulk ? $"jobs[{index}]." : "")).ToArray();
        var twice = bodies.Where(body => body.UniqueKey is not null).GroupBy(body => body.UniqueKey).Where(group => group.Count() > 1);
        foreach (var key in twice)
            errors.Add($"jobs[{bodies.ToList().FindLastIndex(body => body.UniqueKey == key.Key)}].uniqueKey", "is another job's here");
        await CheckCanvasesAsync(bodies, isBulk, caller, errors, cancellationToken);
        if (errors.Any)
            throw JobBody.Unacceptable(errors);
        foreach (var model in JobBody.All(bodies, isBulk).SelectMany(item => item.Job.Models()).Distinct())
            caller.Models?.Check(model);

        // 2. All of it, or nothing.
        var submission = await jobs.SubmitAsync(
            caller.TenantId,
            accepted,
            request,
            (id, _) => audit.NoteOf(id, context, new("job.submitted") { Subject = new("job", id) }),
            cancellationToken);

        // 3. What became of it.
        switch (submission)
        {
            case Submission.Accepted done:
                AuditLog.Wrote(context);
                return (done.Jobs, done.Jobs.Count > done.Kept.Count);
            case Submission.Replayed { Jobs: [] }:
                throw new RequestException(
                    StatusCodes.Status409Conflict,
                    $"What was submitted under this {KeyHeader} has been removed. Use a new key to submit it again.")
                {
                    Code = "jobs_removed",
                };
            case Submission.Replayed earlier:
                context.Response.Headers[ReplayedHeader] = "true";
                return (earlier.Jobs, true);
            case Submission.KeyReused:
                throw new RequestException(
                    StatusCodes.Status422UnprocessableEntity,
                    $"Another submission had this {KeyHeader} within the last 24 hours. Use a new key for a new submission.")
                {
                    Code = "idempotency_key_reused",
                };
            case Submission.NotUnique conflict:
                throw new RequestException(
                    StatusCodes.Status409Conflict,
                    $"The job {conflict.Existing} has this uniqueKey and has not ended. Wait for it, or cancel it.")
                {
                    Code = "not_unique",
                };
            case Submission.NoParent { State: null } missing:
                throw JobBody.Unacceptable(Error("parentId", $"names no job: {missing.ParentId}"));
            case Submission.NoParent late:
                throw new RequestException(
                    StatusCodes.Status409Conflict,
                    $"The job {late.ParentId} does not wait for children: it is {late.State!.Value.ToName()}. "
                    + "A job that is submitted with children takes further ones until these have ended.")
                {
                    Code = "parent_not_waiting",
                };
            default:
                throw new RequestException(
                    StatusCodes.Status429TooManyRequests,
                    $"{((Submission.QueueFull)submission).MaxWaiting} jobs may wait at the same time; these do not fit in. Try later.")
                {
                    Code = "queue_full",
                    RetryAfter = FullWait,
                };
        }
    }

    /// <summary>The database ends jobs at their deadlines, so it says what is past; without one nothing depends on it.</summary>
    private Task<DateTimeOffset> PresentAsync(IReadOnlyList<JobBody> bodies, Caller caller, CancellationToken cancellationToken) =>
        bodies.Any(body => body.WithChildren("").Any(member => member.Job.Deadline is not null))
            ? database.ExecuteAsync(caller.TenantId, DatabaseClock.NowAsync, cancellationToken)
            : Task.FromResult(time.GetUtcNow());

    private static RequestErrors Error(string field, string problem)
    {
        var errors = new RequestErrors();
        errors.Add(field, problem);
        return errors;
    }

    private static JobRequest? RequestOf(IReadOnlyList<JobBody> bodies, bool isBulk, HttpContext context)
    {
        if (!context.Request.Headers.TryGetValue(KeyHeader, out var values))
            return null;
        if (values is not [{ Length: >= 1 and <= LongestKey } key] || key.Any(char.IsControl))
        {
            throw new RequestException(
                StatusCodes.Status400BadRequest, $"{KeyHeader} must be given once and have 1 to {LongestKey} characters.");
        }

        // As it was read: spaces and the order in which the fields of a job stand do not make another submission.
        var body = JsonSerializer.SerializeToUtf8Bytes(new JobsBody([.. bodies]), JobContext.Default.JobsBody);
        return new JobRequest(key, SHA256.HashData([isBulk ? (byte)1 : (byte)0, .. body]));
    }

    private async Task CheckCanvasesAsync(
        IReadOnlyList<JobBody> bodies, bool isBulk, Caller caller, RequestErrors errors, CancellationToken cancellationToken)
    {
        var wanted = JobBody.All(bodies, isBulk).Select(item => item.Job.CanvasId()).OfType<Guid>().Distinct().ToArray();
        if (wanted.Length == 0)
            return;
        var found = await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) => db.Set<Canvas>().Where(canvas => wanted.Contains(canvas.Id)).Select(canvas => canvas.Id).ToListAsync(ct),
            cancellationToken);
        foreach (var (body, prefix) in JobBody.All(bodies, isBulk))
        {
            if (body.CanvasId() is { } id && !found.Contains(id))
                errors.Add($"{prefix}promptVariables.canvasId", "names no canvas");
        }
    }
}
