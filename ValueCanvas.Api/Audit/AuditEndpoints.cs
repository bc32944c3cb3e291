using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Audit;

internal static class AuditEndpoints
{
    public static RouteGroupBuilder MapAuditEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Audit").RequireScope(Scopes.Tenant);
        group.MapGet("", ListAsync)
            .WithSummary("The audit log, newest first: the tenant's for its admins, all of it for operators")
            .Produces<Envelope<AuditPage>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden);
        return group;
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, string? from, string? to, string? @event, string? actor, string? tenant,
        Caller caller, AuditReader reader, CancellationToken cancellationToken)
    {
        if (!caller.IsOperator && caller.Role < Role.Admin)
            throw Refusals.Role(Role.Admin);
        var size = PageLimit.Read(limit);
        var query = new AuditQuery(
            ReadTime("from", from), ReadTime("to", to), ReadText("event", @event), ReadText("actor", actor), ReadTenant(tenant),
            ReadCursor(cursor));
        var rows = await reader.ReadAsync(
            caller.TenantId, caller.IsOperator && caller.Scopes.Contains(Scopes.Admin), query, size + 1, cancellationToken);

        var items = rows.Take(size).ToArray();
        var next = rows.Count > size ? new PageCursor(items[^1].OccurredAt, items[^1].Id).ToString() : null;
        return TypedResults.Ok(Envelope.Of(new AuditPage(items, next)));
    }

    private static DateTimeOffset? ReadTime(string field, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUniversalTime()
            : throw RequestException.Invalid(field, "must be a time such as 2026-01-31T12:00:00Z");
    }

    private static string? ReadText(string field, string? text) => text switch
    {
        null or "" => null,
        { Length: <= 200 } when !text.Contains('\0') => text,
        _ => throw RequestException.Invalid(field, "must have at most 200 characters and no U+0000"),
    };

    private static Guid? ReadTenant(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return Guid.TryParse(text, CultureInfo.InvariantCulture, out var id)
            ? id
            : throw RequestException.Invalid("tenant", "must be the id of a tenant");
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
