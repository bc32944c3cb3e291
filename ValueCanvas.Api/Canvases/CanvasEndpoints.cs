using System.Globalization;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Canvases;

internal static class CanvasEndpoints
{
    /// <summary>The endpoints' part; the generator is Core's <c>AddCanvases</c>.</summary>
    public static IServiceCollection AddCanvasEndpoints(this IServiceCollection services) =>
        services.AddJson(CanvasContext.Default);

    public static RouteGroupBuilder MapCanvasEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Canvases").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Canvas);
        group.MapPost("/generate", GenerateAsync)
            .WithMetadata(TokenCost.Canvas)
            .RequireRole(Role.Member)
            .WithSummary("Generate a canvas from a description of a business, and store it")
            .Produces<Envelope<CanvasView>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status503ServiceUnavailable);
        group.MapGet("/{id}", GetAsync)
            .WithName("GetCanvas")
            .WithSummary("One canvas")
            .Produces<Envelope<CanvasView>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapGet("", ListAsync)
            .WithSummary("The tenant's canvases, newest first, without their content")
            .Produces<Envelope<CanvasPage>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        return group;
    }

    private static async Task<IResult> GenerateAsync(
        JsonBody<CanvasBody> body,
        Caller caller,
        PromptCatalog prompts,
        CanvasGenerator generator,
        TenantDatabase database,
        AuditLog audit,
        LinkGenerator links,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var variables = body.Value.ToVariables();
        if (prompts.Find(CanvasBrief.PromptKey)!.Validate(variables) is { Count: > 0 } errors)
            throw RequestException.Invalid(errors);

        caller.Models?.Check(ChatRequest.DefaultModel);

        // A model's work costs time and money: first see that there is somewhere to keep it.
        await database.ExecuteAsync(caller.TenantId, (_, _) => Task.CompletedTask, cancellationToken);
        var canvas = await generator.GenerateAsync(
            caller.Call("/api/canvas/generate"), CanvasBrief.FromVariables(variables), cancellationToken);
        TokenMeter.Of(context)?.Report(canvas.InputTokens, canvas.OutputTokens);
        await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) =>
            {
                db.Add(canvas);
                return audit.WriteAsync(db, context, new("canvas.generated") { Subject = new("canvas", canvas.Id) }, ct);
            },
            cancellationToken);
        return TypedResults.Created(
            links.GetPathByName(context, "GetCanvas", new { id = canvas.Id }), Envelope.Of(CanvasView.Of(canvas)));
    }

    private static async Task<IResult> GetAsync(
        string id, Caller caller, TenantDatabase database, CancellationToken cancellationToken)
    {
        if (!Guid.TryParse(id, CultureInfo.InvariantCulture, out var known))
            throw RequestException.NotFound("There is no canvas with this id: an id is a UUID, as POST /api/canvas/generate answers it.");
        var canvas = await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) => db.Set<Canvas>().AsNoTracking().SingleOrDefaultAsync(row => row.TenantId == caller.TenantId && row.Id == known, ct),
            cancellationToken);
        return canvas is null
            ? throw RequestException.NotFound("There is no canvas with this id. GET /api/canvas lists those that there are.")
            : TypedResults.Ok(Envelope.Of(CanvasView.Of(canvas)));
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, Caller caller, TenantDatabase database, CancellationToken cancellationToken)
    {
        var size = PageLimit.Read(limit);
        var after = ReadCursor(cursor);
        var rows = await database.ExecuteAsync(
            caller.TenantId,
            (db, ct) => Page(db.Set<Canvas>().Where(row => row.TenantId == caller.TenantId), after)
                .Take(size + 1)
                .Select(row => new { row.Id, row.Type, row.Title, row.Industry, row.Model, row.CreatedAt, row.UpdatedAt })
                .ToListAsync(ct),
            cancellationToken);

        var items = rows.Take(size)
            .Select(row => new CanvasSummary(
                row.Id, row.Type.ToWireName(), row.Title, row.Industry, row.Model, row.CreatedAt, row.UpdatedAt))
            .ToArray();
        var next = rows.Count > size ? new PageCursor(items[^1].CreatedAt, items[^1].Id).ToString() : null;
        return TypedResults.Ok(Envelope.Of(new CanvasPage(items, next)));
    }

    // Compared as rows, in the order of the index canvases_by_tenant.
    private static IQueryable<Canvas> Page(IQueryable<Canvas> canvases, PageCursor? after)
    {
        if (after is var (createdAt, id))
        {
            canvases = canvases.Where(row =>
                EF.Functions.LessThan(ValueTuple.Create(row.CreatedAt, row.Id), ValueTuple.Create(createdAt, id)));
        }

        return canvases.OrderByDescending(row => row.CreatedAt).ThenByDescending(row => row.Id);
    }

    private static PageCursor? ReadCursor(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return PageCursor.TryParse(text, out var cursor)
            ? cursor
            : throw RequestException.Invalid("cursor", "must be the nextCursor of an earlier page, unchanged");
    }
}
