using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Jobs.Schedules;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Jobs;

/// <summary>Jobs that are submitted again and again.</summary>
internal static class ScheduleEndpoints
{
    private const int MostSchedules = 200;

    public static void MapSchedules(this RouteGroupBuilder group)
    {
        group.MapGet("/schedules", ListAsync)
            .WithSummary("The tenant's schedules, by name")
            .Produces<Envelope<ScheduleList>>();
        group.MapPost("/schedules", CreateAsync)
            .RequireRole(Role.Member)
            .WithSummary("Submit a job again and again, by a cron expression in a time zone")
            .Produces<Envelope<ScheduleData>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict, StatusCodes.Status422UnprocessableEntity);
        group.MapGet("/schedules/{id}", GetAsync)
            .WithSummary("One schedule")
            .Produces<Envelope<ScheduleData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/schedules/{id}", PutAsync)
            .RequireRole(Role.Member)
            .WithSummary("Change a schedule, or stop it with \"enabled\": false")
            .Produces<Envelope<ScheduleData>>()
            .ProducesProblems(
                StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound,
                StatusCodes.Status409Conflict, StatusCodes.Status422UnprocessableEntity);
        group.MapDelete("/schedules/{id}", DeleteAsync)
            .RequireRole(Role.Member)
            .WithSummary("Remove a schedule; jobs that it has submitted stay")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static async Task<IResult> ListAsync(Caller caller, TenantDatabase database, CancellationToken cancellationToken)
    {
        var rows = await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) => db.Set<JobSchedule>().AsNoTracking().OrderBy(row => row.Name).Take(MostSchedules).ToListAsync(ct),
            cancellationToken);
        return TypedResults.Ok(Envelope.Of(new ScheduleList([.. rows.Select(ScheduleData.From)])));
    }

    private static async Task<IResult> CreateAsync(
        JsonBody<ScheduleBody> body, Caller caller, TenantDatabase database, PromptCatalog prompts, AuditLog audit, TimeProvider time,
        HttpContext context, CancellationToken cancellationToken)
    {
        var job = ReadJob(body.Value, caller, prompts, time);
        var schedule = await SaveAsync(() => database.ExecuteAsync(
            caller.TenantId,
            async (db, ct) =>
            {
                if (await db.Set<JobSchedule>().CountAsync(ct) >= MostSchedules)
                    throw new RequestException(StatusCodes.Status409Conflict, $"There are {MostSchedules} schedules. Remove one first.");
                var added = new JobSchedule
                {
                    Id = Guid.CreateVersion7(time.GetUtcNow()),
                    TenantId = caller.TenantId,
                    Name = body.Value.Name!,
                    Cron = body.Value.Cron!,
                    TimeZone = body.Value.Zone,
                    Type = job.Type,
                    Args = job.Args,
                };
                Fill(added, body.Value, job, caller, await DatabaseClock.NowAsync(db, ct));
                db.Add(added);
                await audit.WriteAsync(db, context, new("schedule.created") { Subject = new("schedule", added.Id) }, ct);
                return added;
            },
            cancellationToken));
        return TypedResults.Created($"/api/queue/schedules/{schedule.Id}", Envelope.Of(ScheduleData.From(schedule)));
    }

    private static async Task<IResult> GetAsync(string id, Caller caller, TenantDatabase database, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        var schedule = await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) => db.Set<JobSchedule>().AsNoTracking().SingleOrDefaultAsync(row => row.Id == known, ct),
            cancellationToken);
        return TypedResults.Ok(Envelope.Of(ScheduleData.From(schedule ?? throw NotThere())));
    }

    private static async Task<IResult> PutAsync(
        string id, JsonBody<ScheduleBody> body, Caller caller, TenantDatabase database, PromptCatalog prompts, AuditLog audit,
        TimeProvider time, HttpContext context, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        var job = ReadJob(body.Value, caller, prompts, time);
        var schedule = await SaveAsync(() => database.ExecuteAsync(
            caller.TenantId,
            async (db, ct) =>
            {
                var row = await db.Set<JobSchedule>().SingleOrDefaultAsync(row => row.Id == known, ct) ?? throw NotThere();
                Fill(row, body.Value, job, caller, await DatabaseClock.NowAsync(db, ct));
                await audit.WriteAsync(db, context, new("schedule.changed") { Subject = new("schedule", known) }, ct);
                return row;
            },
            cancellationToken));
        return TypedResults.Ok(Envelope.Of(ScheduleData.From(schedule)));
    }

    private static async Task<IResult> DeleteAsync(
        string id, Caller caller, TenantDatabase database, AuditLog audit, HttpContext context, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        await database.ExecuteAsync(
            caller.TenantId,
            async (db, ct) =>
            {
                if (await db.Set<JobSchedule>().Where(row => row.Id == known).ExecuteDeleteAsync(ct) == 0)
                    throw NotThere();
                await audit.WriteAsync(db, context, new("schedule.removed") { Subject = new("schedule", known) }, ct);
            },
            cancellationToken);
        return TypedResults.NoContent();
    }

    private static NewJob ReadJob(ScheduleBody body, Caller caller, PromptCatalog prompts, TimeProvider time)
    {
        var errors = new RequestErrors();
        var job = body.Job!.ToJob(caller, prompts, time.GetUtcNow(), errors, "job.");
        if (errors.Any)
            throw JobBody.Unacceptable(errors);
        foreach (var model in body.Job.Models())
            caller.Models?.Check(model);
        return job;
    }

    private static void Fill(JobSchedule schedule, ScheduleBody body, NewJob job, Caller caller, DateTimeOffset now)
    {
        schedule.Name = body.Name!;
        schedule.Cron = body.Cron!;
        schedule.TimeZone = body.Zone;
        schedule.Enabled = body.Enabled ?? true;
        schedule.Type = job.Type;
        schedule.PromptKey = job.PromptKey;
        schedule.Args = job.Args;
        schedule.Priority = job.Priority;
        schedule.MaxAttempts = job.MaxAttempts;
        schedule.SubmitterId = caller.HolderId;
        schedule.SubmitterKeyId = caller.ApiKeyId;
        schedule.NextAt = body.NextAfter(now);
    }

    private static async Task<JobSchedule> SaveAsync(Func<Task<JobSchedule>> save)
    {
        try
        {
            return await save();
        }
        catch (DbUpdateException taken) when (taken.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            throw new RequestException(StatusCodes.Status409Conflict, "Another schedule has this name. Choose another name.")
            {
                Code = "name_taken",
            };
        }
    }

    private static Guid ReadId(string id) => Guid.TryParse(id, CultureInfo.InvariantCulture, out var known) ? known : throw NotThere();

    private static RequestException NotThere() =>
        RequestException.NotFound("There is no schedule with this id. GET /api/queue/schedules lists those that there are.");
}
