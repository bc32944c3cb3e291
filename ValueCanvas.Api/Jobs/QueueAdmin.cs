using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>Pausing, by a tenant for itself, and what operators give each tenant of the queue.</summary>
internal static class QueueAdmin
{
    public static void MapPausing(this RouteGroupBuilder group)
    {
        group.MapPost(
                "/pause",
                (Caller caller, JobLimits limits, JobSignal signal, AuditLog audit, HttpContext context, CancellationToken ct) =>
                    PauseAsync(true, caller, limits, signal, audit, context, ct))
            .RequireRole(Role.Admin)
            .WithSummary("Start no more of the tenant's jobs; what runs goes on, and submissions are accepted")
            .Produces<Envelope<JobLimitsData>>();
        group.MapPost(
                "/resume",
                (Caller caller, JobLimits limits, JobSignal signal, AuditLog audit, HttpContext context, CancellationToken ct) =>
                    PauseAsync(false, caller, limits, signal, audit, context, ct))
            .RequireRole(Role.Admin)
            .WithSummary("Start the tenant's jobs again")
            .Produces<Envelope<JobLimitsData>>();
    }

    public static RouteGroupBuilder MapQueueAdmin(this RouteGroupBuilder group)
    {
        group.WithTags("Queue").WithMetadata(BodyLimit.Api).RequireOperator();
        group.MapGet("", async (Caller caller, QueuePause pause, CancellationToken ct) =>
                TypedResults.Ok(Envelope.Of(QueuePauseData.Of(await pause.SinceAsync(caller.TenantId, ct)))))
            .WithSummary("Whether jobs of all tenants are started")
            .Produces<Envelope<QueuePauseData>>();
        group.MapPost(
                "/pause",
                (Caller caller, QueuePause pause, JobSignal signal, AuditLog audit, HttpContext context, CancellationToken ct) =>
                    PauseAllAsync(true, caller, pause, signal, audit, context, ct))
            .WithSummary("Start no more jobs of any tenant; what runs goes on, and submissions are accepted")
            .Produces<Envelope<QueuePauseData>>();
        group.MapPost(
                "/resume",
                (Caller caller, QueuePause pause, JobSignal signal, AuditLog audit, HttpContext context, CancellationToken ct) =>
                    PauseAllAsync(false, caller, pause, signal, audit, context, ct))
            .WithSummary("Start jobs again, but for tenants that have paused their own")
            .Produces<Envelope<QueuePauseData>>();
        group.MapGet("/{tenantId}", GetAsync)
            .WithSummary("What a tenant may have of the queue")
            .Produces<Envelope<JobLimitsData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/{tenantId}", PutAsync)
            .WithSummary("Set a tenant's weight and caps; they count from the next claim on")
            .Produces<Envelope<JobLimitsData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> PauseAsync(
        bool paused, Caller caller, JobLimits limits, JobSignal signal, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var now = await limits.PauseAsync(
            caller.TenantId, paused,
            (db, ct) => audit.WriteAsync(db, context, new(paused ? "queue.paused" : "queue.resumed"), ct), cancellationToken)
            ?? throw NotThere();
        if (!paused)
            await signal.PublishAsync();
        return TypedResults.Ok(Envelope.Of(now));
    }

    private static async Task<IResult> PauseAllAsync(
        bool paused, Caller caller, QueuePause pause, JobSignal signal, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var since = await pause.SetAsync(
            caller.TenantId, paused,
            (db, ct) => audit.WriteAsync(db, context, new(paused ? "queue.paused_for_all" : "queue.resumed_for_all"), ct),
            cancellationToken);
        if (!paused)
            await signal.PublishAsync();
        return TypedResults.Ok(Envelope.Of(QueuePauseData.Of(since)));
    }

    private static async Task<IResult> GetAsync(string tenantId, JobLimits limits, CancellationToken cancellationToken) =>
        TypedResults.Ok(Envelope.Of(await limits.FindAsync(ReadTenant(tenantId), cancellationToken) ?? throw NotThere()));

    private static async Task<IResult> PutAsync(
        string tenantId, JsonBody<JobLimitsBody> body, JobLimits limits, JobSignal signal, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var tenant = ReadTenant(tenantId);
        if (await limits.FindAsync(tenant, cancellationToken) is null)
            throw NotThere();
        var now = await limits.SetAsync(
            tenant, body.Value,
            (db, ct) => audit.WriteAsync(db, context, new("queue.limits_set") { Subject = new("tenant", tenant), Tenant = tenant }, ct),
            cancellationToken) ?? throw NotThere();
        await signal.PublishAsync();
        return TypedResults.Ok(Envelope.Of(now));
    }

    private static Guid ReadTenant(string text) =>
        Guid.TryParse(text, CultureInfo.InvariantCulture, out var tenant) ? tenant : throw NotThere();

    private static RequestException NotThere() => RequestException.NotFound("There is no tenant with this id.");
}
