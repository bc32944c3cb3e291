using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>Dead letters: jobs that have failed and have not been done again.</summary>
internal static class DeadLetterEndpoints
{
    private const int MostAtOnce = 500;

    public static void MapDeadLetters(this RouteGroupBuilder group)
    {
        group.MapGet("/dead-letters", ListAsync)
            .WithSummary("Jobs that failed and were not done again since, newest first")
            .Produces<Envelope<JobPage>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/dead-letters/retry", RetryAsync)
            .RequireRole(Role.Member)
            .WithSummary("Do dead letters again, each as a new job; at most 500 at once, the rest stay")
            .Produces<Envelope<JobList>>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/dead-letters/purge", PurgeAsync)
            .RequireRole(Role.Admin)
            .WithSummary("Remove dead letters for good")
            .Produces<Envelope<JobCount>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, string? type, string? errorCode, Caller caller, JobStore jobs, CancellationToken cancellationToken)
    {
        var filter = new JobFilter { DeadLetters = true, Type = type, ErrorCode = errorCode };
        return TypedResults.Ok(Envelope.Of(await JobPages.ReadAsync(jobs, caller.TenantId, filter, limit, cursor, cancellationToken)));
    }

    private static async Task<IResult> RetryAsync(
        JsonBody<DeadLettersBody> body, Caller caller, JobStore jobs, JobControl control, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var dead = await jobs.ListAsync(caller.TenantId, body.Value.ToFilter(), null, MostAtOnce, cancellationToken) ?? [];
        if (dead.Count == 0)
            return TypedResults.Accepted((string?)null, Envelope.Of(new JobList([])));
        var submission = await control.RetryAsync(
            caller.TenantId, dead, caller.HolderId, caller.ApiKeyId, null,
            (id, job) => audit.NoteOf(id, context, new("job.retried") { Subject = new("job", job.RetryOf!.Value) }),
            cancellationToken);
        if (submission is not Submission.Accepted accepted)
            throw new RequestException(StatusCodes.Status429TooManyRequests, "So many jobs may not wait at the same time. Retry fewer.")
            {
                Code = "queue_full",
                RetryAfter = TimeSpan.FromSeconds(5),
            };
        AuditLog.Wrote(context);
        return TypedResults.Accepted((string?)null, Envelope.Of(new JobList([.. accepted.Jobs.Select(job => JobData.From(job))])));
    }

    private static async Task<IResult> PurgeAsync(
        JsonBody<DeadLettersBody> body, Caller caller, JobControl control, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var removed = await control.PurgeAsync(
            caller.TenantId, body.Value.ToFilter(),
            (db, count, ct) => audit.WriteAsync(
                db, context,
                new("job.purged") { Details = [("count", count.ToString(System.Globalization.CultureInfo.InvariantCulture))] }, ct),
            cancellationToken);
        return TypedResults.Ok(Envelope.Of(new JobCount(removed)));
    }
}

/// <summary>Which dead letters are meant. Never all of them by accident: that must be said.</summary>
internal sealed record DeadLettersBody(IReadOnlyList<Guid>? Ids, string? Type, string? ErrorCode, bool? All) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        if (Ids is null && Type is null && ErrorCode is null && All is not true)
            errors.Add("ids", "or type or errorCode is required; all of them are meant with \"all\": true");
        if (Ids is { Count: > 500 })
            errors.Add("ids", "must have at most 500 ids");
    }

    public JobFilter ToFilter() => new() { DeadLetters = true, Ids = Ids, Type = Type, ErrorCode = ErrorCode };
}
