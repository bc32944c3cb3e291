using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Inference;
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
        return services.ConfigureHttpJsonOptions(options => options.SerializerOptions.TypeInfoResolverChain.Insert(0, JobContext.Default));
    }

    public static RouteGroupBuilder MapJobEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Queue").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Queue);
        group.MapPost("/llm", EnqueueAsync)
            .RequireRole(Role.Member)
            .WithSummary("Submit a job; 202 says that it is stored")
            .Produces<Envelope<JobData>>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        group.MapGet("/jobs/{id}", GetAsync)
            .WithName("GetJob")
            .WithSummary("One job and, when it has succeeded, its result")
            .Produces<Envelope<JobData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapGet("/jobs", ListAsync)
            .WithSummary("The tenant's jobs, newest first, without their results")
            .Produces<Envelope<JobPage>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("/metrics", CountAsync)
            .WithSummary("How many of the tenant's jobs are in which state, and how long the oldest waits")
            .Produces<Envelope<QueueMetrics>>();
        return group;
    }

    private static async Task<IResult> EnqueueAsync(
        JsonBody<JobBody> body,
        Caller caller,
        PromptCatalog prompts,
        JobStore jobs,
        AuditLog audit,
        LinkGenerator links,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var args = body.Value.ToArgs(prompts);
        caller.Models?.Check(ChatRequest.DefaultModel);
        var job = await jobs.EnqueueAsync(
            caller.TenantId, body.Value.Type!, body.Value.PromptKey, args,
            (db, id, ct) => audit.WriteAsync(db, context, new("job.submitted") { Subject = new("job", id) }, ct),
            cancellationToken);
        return TypedResults.Accepted(links.GetPathByName(context, "GetJob", new { id = job.Id }), Envelope.Of(JobData.From(job)));
    }

    private static async Task<IResult> GetAsync(string id, Caller caller, JobStore jobs, CancellationToken cancellationToken)
    {
        if (!Guid.TryParse(id, CultureInfo.InvariantCulture, out var known))
            throw RequestException.NotFound("There is no job with this id: an id is a UUID, as POST /api/queue/llm answers it.");
        return await jobs.FindAsync(caller.TenantId, known, cancellationToken) is { } found
            ? TypedResults.Ok(Envelope.Of(JobData.From(found.Job, found.Result)))
            : throw RequestException.NotFound("There is no job with this id. GET /api/queue/jobs lists those that there are.");
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, string? status, Caller caller, JobStore jobs, CancellationToken cancellationToken)
    {
        var size = PageLimit.Read(limit);
        var rows = await jobs.ListAsync(caller.TenantId, ReadStatus(status), ReadCursor(cursor), size + 1, cancellationToken)
            ?? throw UnknownCursor();

        var items = rows.Take(size).Select(job => JobData.From(job)).ToArray();
        return TypedResults.Ok(Envelope.Of(new JobPage(items, rows.Count > size ? items[^1].JobId.ToString() : null)));
    }

    private static async Task<IResult> CountAsync(Caller caller, JobStore jobs, CancellationToken cancellationToken) =>
        TypedResults.Ok(Envelope.Of(QueueMetrics.From(await jobs.CountAsync(caller.TenantId, cancellationToken))));

    private static JobState? ReadStatus(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return JobStates.TryParse(text, out var state)
            ? state
            : throw RequestException.Invalid("status", $"must be one of: {string.Join(", ", JobStates.Names)}");
    }

    private static Guid? ReadCursor(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return Guid.TryParse(text, CultureInfo.InvariantCulture, out var after) ? after : throw UnknownCursor();
    }

    private static RequestException UnknownCursor() =>
        RequestException.Invalid("cursor", "must be the nextCursor of an earlier page, unchanged");
}
