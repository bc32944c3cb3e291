using System.Globalization;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Usage;

internal static class BudgetEndpoints
{
    /// <summary>A tenant's own; within the group that says who may.</summary>
    public static RouteGroupBuilder MapBudgets(this RouteGroupBuilder group)
    {
        group.MapGet("/budgets", async (Caller caller, BudgetStore budgets, CancellationToken cancellationToken) =>
                TypedResults.Ok(Envelope.Of(await budgets.ListAsync(caller.TenantId, cancellationToken))))
            .WithSummary("The budgets of the tenant and of its keys, with what is spent of them")
            .Produces<Envelope<BudgetList>>();
        group.MapPut("/budget", SetAsync)
            .WithSummary("Set what the tenant may cost in a period; every instance follows within seconds")
            .Produces<Envelope<BudgetData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden);
        group.MapDelete("/budget", DeleteAsync)
            .WithSummary("Remove the tenant's budget")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapGet("/alerts", async (Caller caller, BudgetStore budgets, CancellationToken cancellationToken) =>
                TypedResults.Ok(Envelope.Of(await budgets.AlertsAsync(caller.TenantId, cancellationToken))))
            .WithSummary("Thresholds of budgets that were crossed, newest first")
            .Produces<Envelope<IReadOnlyList<AlertData>>>();
        return group;
    }

    /// <summary>Any tenant's, set so that the tenant cannot change it.</summary>
    public static RouteGroupBuilder MapTenantBudgetEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Usage").WithMetadata(BodyLimit.Api).RequireOperator();
        group.MapGet("/{tenantId}", async (string tenantId, BudgetStore budgets, CancellationToken cancellationToken) =>
                TypedResults.Ok(Envelope.Of(
                    await budgets.ListAsync(await TenantAsync(tenantId, budgets, cancellationToken), cancellationToken))))
            .WithSummary("The budgets of a tenant and of its keys")
            .Produces<Envelope<BudgetList>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/{tenantId}", SetOfTenantAsync)
            .WithSummary("Set what a tenant may cost; its own people cannot change it")
            .Produces<Envelope<BudgetData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound);
        group.MapDelete("/{tenantId}", DeleteOfTenantAsync)
            .WithSummary("Remove a tenant's budget")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> SetAsync(
        JsonBody<BudgetBody> body, Caller caller, BudgetStore budgets, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var note = Noted("budget.set", caller.TenantId, audit, context);
        return await budgets.TrySetAsync(caller.TenantId, body.Value, byOperator: false, note, cancellationToken)
            ? TypedResults.Ok(Envelope.Of((await budgets.ListAsync(caller.TenantId, cancellationToken)).Tenant!))
            : throw Locked();
    }

    private static async Task<IResult> DeleteAsync(
        Caller caller, BudgetStore budgets, AuditLog audit, HttpContext context, CancellationToken cancellationToken)
    {
        var note = Noted("budget.deleted", caller.TenantId, audit, context);
        if (await budgets.TryDeleteAsync(caller.TenantId, byOperator: false, note, cancellationToken))
            return TypedResults.NoContent();
        throw (await budgets.ListAsync(caller.TenantId, cancellationToken)).Tenant is null ? None() : Locked();
    }

    private static async Task<IResult> SetOfTenantAsync(
        string tenantId, JsonBody<BudgetBody> body, BudgetStore budgets, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var tenant = await TenantAsync(tenantId, budgets, cancellationToken);
        await budgets.TrySetAsync(tenant, body.Value, byOperator: true, Noted("budget.set", tenant, audit, context), cancellationToken);
        return TypedResults.Ok(Envelope.Of((await budgets.ListAsync(tenant, cancellationToken)).Tenant!));
    }

    private static async Task<IResult> DeleteOfTenantAsync(
        string tenantId, BudgetStore budgets, AuditLog audit, HttpContext context, CancellationToken cancellationToken)
    {
        var tenant = await TenantAsync(tenantId, budgets, cancellationToken);
        var note = Noted("budget.deleted", tenant, audit, context);
        return await budgets.TryDeleteAsync(tenant, byOperator: true, note, cancellationToken) ? TypedResults.NoContent() : throw None();
    }

    private static async Task<Guid> TenantAsync(string text, BudgetStore budgets, CancellationToken cancellationToken) =>
        Guid.TryParse(text, CultureInfo.InvariantCulture, out var id) && await budgets.ExistsAsync(id, cancellationToken)
            ? id
            : throw RequestException.NotFound("There is no tenant with this id.");

    private static BudgetStore.Note Noted(string what, Guid tenant, AuditLog audit, HttpContext context) =>
        (db, ct) => audit.WriteAsync(db, context, new(what) { Subject = new("tenant", tenant) }, ct);

    private static RequestException None() => RequestException.NotFound("The tenant has no budget.");

    private static RequestException Locked() => new(
        StatusCodes.Status403Forbidden, "This budget was set by the operator of the installation. Ask there to change it.")
    {
        Code = "budget_locked",
    };
}
