using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Api.Webhooks;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Jobs;

internal static class JobEndpoints
{
    /// <summary>The queue's store and the endpoints' part; needs the database, the cache and the prompts.</summary>
    public static IServiceCollection AddJobs(this IServiceCollection services)
    {
        services.AddJobQueue();
        services.AddPrompts();
        services.AddSingleton<JobSubmissions>();
        services.AddSingleton<JobControl>();
        services.AddSingleton<JobLimits>();
        services.AddSingleton<QueuePause>();
        services.AddSingleton<JobWatch>();
        return services.AddJson(JobContext.Default);
    }

    public static RouteGroupBuilder MapJobEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Queue").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Queue);
        group.MapPost("/llm", EnqueueAsync)
            .RequireRole(Role.Member)
            .WithSummary(
                "Submit a job, with children or without; 202 says that it is stored. The header Idempotency-Key makes it count once")
            .Produces<Envelope<JobData>>(StatusCodes.Status202Accepted)
            .Produces<Envelope<JobData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .ProducesProblem(StatusCodes.Status429TooManyRequests)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        group.MapPost("/llm/bulk", EnqueueManyAsync)
            .RequireRole(Role.Member)
            .WithSummary("Submit up to 500 jobs, all of them or none")
            .Produces<Envelope<JobList>>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .ProducesProblem(StatusCodes.Status429TooManyRequests)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        group.MapGet("/jobs/{id}", GetAsync)
            .WithName("GetJob")
            .WithSummary("One job with its history and, when it has succeeded, its result")
            .Produces<Envelope<JobData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapGet("/jobs/{id}/events", WatchAsync)
            .WithSummary("A job's states, its text while it comes, and its end, as server-sent events; Last-Event-ID resumes")
            .Produces(StatusCodes.Status200OK, contentType: "text/event-stream")
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPost("/jobs/{id}/cancel", CancelAsync)
            .RequireRole(Role.Member)
            .WithSummary("Call a job off; one that runs is stopped within a second, down to the model server")
            .Produces<Envelope<JobData>>()
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status409Conflict);
        group.MapPost("/jobs/{id}/retry", RetryAsync)
            .RequireRole(Role.Member)
            .WithSummary("Do a job that has ended again, as a new one that names it")
            .Produces<Envelope<JobData>>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status409Conflict);
        group.MapGet("/jobs", ListAsync)
            .WithSummary("The tenant's jobs, newest first, without their results")
            .Produces<Envelope<JobPage>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("/metrics", CountAsync)
            .WithSummary("How many of the tenant's jobs are in which state, how long the oldest waits, and what the tenant may have")
            .Produces<Envelope<QueueMetrics>>();
        group.MapDeadLetters();
        group.MapSchedules();
        group.MapWebhooks();
        group.MapPausing();
        return group;
    }

    private static async Task<IResult> EnqueueAsync(
        JsonBody<JobBody> body, Caller caller, JobSubmissions submissions, LinkGenerator links, HttpContext context,
        CancellationToken cancellationToken)
    {
        var (jobs, anyNew) = await submissions.SubmitAsync([body.Value], isBulk: false, caller, context, cancellationToken);
        var location = links.GetPathByName(context, "GetJob", new { id = jobs[0].Id })!;
        var data = Envelope.Of(JobData.From(jobs[0]));
        if (anyNew)
            return TypedResults.Accepted(location, data);
        // Kept for its unique key: nothing was submitted.
        context.Response.Headers.Location = location;
        return TypedResults.Ok(data);
    }

    private static async Task<IResult> EnqueueManyAsync(
        JsonBody<JobsBody> body, Caller caller, JobSubmissions submissions, HttpContext context, CancellationToken cancellationToken)
    {
        var (jobs, _) = await submissions.SubmitAsync(
            [.. body.Value.Jobs!.Select(job => job!)], isBulk: true, caller, context, cancellationToken);
        return TypedResults.Accepted((string?)null, Envelope.Of(new JobList([.. jobs.Select(job => JobData.From(job))])));
    }

    private static async Task<IResult> GetAsync(
        string id, Caller caller, JobStore jobs, JobControl control, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        var found = await jobs.FindAsync(caller.TenantId, known, cancellationToken) ?? throw NotThere();
        var history = await control.HistoryAsync(caller.TenantId, known, cancellationToken);
        var children = found.Job.OnChildFailure is null
            ? null
            : JobChildrenData.From(found.Job, await jobs.CountChildrenAsync(caller.TenantId, known, cancellationToken));
        return TypedResults.Ok(Envelope.Of(JobData.From(found.Job, found.Result, history, children)));
    }

    private static async Task<IResult> WatchAsync(
        string id, Caller caller, JobWatch watch, TimeProvider time, IHostApplicationLifetime lifetime, HttpContext context,
        CancellationToken cancellationToken)
    {
        var found = await watch.FindAsync(caller.TenantId, ReadId(id), cancellationToken) ?? throw NotThere();
        // An id that is none of ours is like none: everything from the beginning.
        _ = JobTextPosition.TryParse(context.Request.Headers["Last-Event-ID"], out var position);
        return new JobEventStream(found, caller.TenantId, position, watch, time, lifetime.ApplicationStopping);
    }

    private static async Task<IResult> CancelAsync(
        string id, Caller caller, JobControl control, JobSignal signal, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        var job = await control.CancelAsync(
            caller.TenantId, known,
            (db, ct) => audit.WriteAsync(db, context, new("job.cancelled") { Subject = new("job", known) }, ct), cancellationToken)
            ?? throw NotThere();
        // It may have been the last that its parent waited for.
        if (job.ParentId is not null)
            await signal.PublishAsync();
        return job.State == JobState.Cancelled
            ? TypedResults.Ok(Envelope.Of(JobData.From(job)))
            : throw new RequestException(StatusCodes.Status409Conflict, $"The job has ended: it is {job.State.ToName()}.")
            {
                Code = "job_ended",
            };
    }

    private static async Task<IResult> RetryAsync(
        string id, Caller caller, JobStore jobs, JobControl control, AuditLog audit, LinkGenerator links, HttpContext context,
        CancellationToken cancellationToken)
    {
        var found = await jobs.FindAsync(caller.TenantId, ReadId(id), cancellationToken) ?? throw NotThere();
        if (!found.Job.State.IsFinal())
            throw new RequestException(
                StatusCodes.Status409Conflict, $"The job has not ended: it is {found.Job.State.ToName()}. Cancel it first.")
            {
                Code = "job_not_ended",
            };
        var submission = await control.RetryAsync(
            caller.TenantId, [found.Job], caller.HolderId, caller.ApiKeyId, null,
            (next, _) => audit.NoteOf(next, context, new("job.retried") { Subject = new("job", found.Job.Id) }), cancellationToken);
        if (submission is not Submission.Accepted { Jobs: [var again] })
            throw new RequestException(StatusCodes.Status429TooManyRequests, "No further job may wait at present. Try again later.")
            {
                Code = "queue_full",
                RetryAfter = TimeSpan.FromSeconds(5),
            };
        AuditLog.Wrote(context);
        return TypedResults.Accepted(links.GetPathByName(context, "GetJob", new { id = again.Id }), Envelope.Of(JobData.From(again)));
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, string? status, string? type, string? errorCode, string? retryOf, string? parentId,
        Caller caller, JobStore jobs, CancellationToken cancellationToken)
    {
        var filter = new JobFilter
        {
            State = ReadStatus(status),
            Type = type,
            ErrorCode = errorCode,
            RetryOf = ReadJobId("retryOf", retryOf),
            ParentId = ReadJobId("parentId", parentId),
        };
        return TypedResults.Ok(Envelope.Of(await JobPages.ReadAsync(jobs, caller.TenantId, filter, limit, cursor, cancellationToken)));
    }

    private static async Task<IResult> CountAsync(
        Caller caller, JobStore jobs, JobLimits limits, QueuePause pause, CancellationToken cancellationToken) =>
        TypedResults.Ok(Envelope.Of(QueueMetrics.From(
            await jobs.CountAsync(caller.TenantId, cancellationToken),
            await limits.FindAsync(caller.TenantId, cancellationToken),
            await pause.SinceAsync(caller.TenantId, cancellationToken))));

    private static Guid? ReadJobId(string name, string? text) => string.IsNullOrEmpty(text) ? null
        : Guid.TryParse(text, CultureInfo.InvariantCulture, out var job) ? job
        : throw RequestException.Invalid(name, "must be a job's id");

    private static JobState? ReadStatus(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return JobStates.TryParse(text, out var state)
            ? state
            : throw RequestException.Invalid("status", $"must be one of: {string.Join(", ", JobStates.Names)}");
    }

    internal static Guid ReadId(string id) => Guid.TryParse(id, CultureInfo.InvariantCulture, out var known)
        ? known
        : throw RequestException.NotFound("There is no job with this id: an id is a UUID, as POST /api/queue/llm answers it.");

    internal static RequestException NotThere() =>
        RequestException.NotFound("There is no job with this id. GET /api/queue/jobs lists those that there are.");
}
