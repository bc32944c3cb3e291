using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.ApiKeys;

internal static class ApiKeyEndpoints
{
    /// <summary>More than a tenant needs, and fewer than would be a burden to everybody else.</summary>
    private const int MaxKeys = 1000;

    /// <summary>What a key can do of which nothing else is said.</summary>
    private static readonly string[] UsualScopes = [Scopes.Canvas, Scopes.Llm, Scopes.Queue];

    public static IServiceCollection AddApiKeys(this IServiceCollection services)
    {
        services.AddSingleton<ApiKeyHasher>();
        services.AddSingleton<ApiKeyStore>();
        return services.AddJson(ApiKeyContext.Default);
    }

    public static RouteGroupBuilder MapApiKeyEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("API keys").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Keys).RequireRole(Role.Member);
        group.MapPost("", CreateAsync)
            .WithSummary("Make a key; the answer is the only one that shows it")
            .Produces<Envelope<ApiKeyData>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden, StatusCodes.Status409Conflict);
        group.MapGet("", ListAsync)
            .WithSummary("The tenant's keys, newest first; for members their own")
            .Produces<Envelope<ApiKeyPage>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("/{id}", GetAsync)
            .WithName("GetApiKey")
            .WithSummary("One key")
            .Produces<Envelope<ApiKeyData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPost("/{id}/rotate", RotateAsync)
            .WithSummary("Give the key a new secret; the one of before goes on for a while")
            .Produces<Envelope<ApiKeyData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden, StatusCodes.Status404NotFound);
        group.MapDelete("/{id}", DeleteAsync)
            .WithSummary("Delete the key: within a second nothing takes it any more")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> CreateAsync(
        JsonBody<ApiKeyBody> body, Caller caller, ApiKeyStore keys, AuditLog audit, TimeProvider time, LinkGenerator links,
        HttpContext context, CancellationToken cancellationToken)
    {
        var wanted = body.Value;
        var now = time.GetUtcNow();
        if (wanted.ExpiresAt <= now)
            throw RequestException.Invalid("expiresAt", "must be in the future");
        var grant = KeyGrant.For(caller, await OwnAsync(caller, keys, cancellationToken), wanted, UsualScopes);

        var environment = wanted.Environment ?? ApiKeyText.Live;
        var text = ApiKeyText.Create(environment);
        var row = new ApiKeyRow(
            Guid.NewGuid(), caller.HolderId, wanted.Name!.Trim(), environment, grant.Scopes, grant.Models, wanted.Budget?.Amount,
            wanted.Budget?.Period, now, grant.ExpiresAt, LastUsedAt: null, ApiKeyText.PrefixOf(text), PreviousUntil: null);
        if (!await keys.TryAddAsync(caller.TenantId, row, text, MaxKeys, Noted("key.created", row.Id, audit, context), cancellationToken))
        {
            throw new RequestException(StatusCodes.Status409Conflict, $"The tenant has {MaxKeys} keys. Delete some first.")
            {
                Code = "too_many_keys",
            };
        }

        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created(
            links.GetPathByName(context, "GetApiKey", new { id = row.Id }), Envelope.Of(ApiKeyData.From(row, text)));
    }

    private static async Task<IResult> ListAsync(
        string? limit, string? cursor, Caller caller, ApiKeyStore keys, CancellationToken cancellationToken)
    {
        var size = PageLimit.Read(limit);
        Guid? after = null;
        if (!string.IsNullOrEmpty(cursor))
            after = Guid.TryParse(cursor, CultureInfo.InvariantCulture, out var id) ? id : throw UnknownCursor();
        var ofOne = caller.Role >= Role.Admin ? (Guid?)null : caller.HolderId;
        var rows = await keys.ListAsync(caller.TenantId, ofOne, after, size + 1, cancellationToken) ?? throw UnknownCursor();
        var items = rows.Take(size).Select(row => ApiKeyData.From(row)).ToArray();
        return TypedResults.Ok(Envelope.Of(new ApiKeyPage(items, rows.Count > size ? items[^1].Id.ToString() : null)));
    }

    private static async Task<IResult> GetAsync(string id, Caller caller, ApiKeyStore keys, CancellationToken cancellationToken) =>
        TypedResults.Ok(Envelope.Of(ApiKeyData.From(await FindAsync(id, caller, keys, cancellationToken))));

    private static async Task<IResult> RotateAsync(
        string id, JsonBody<RotationBody> body, Caller caller, ApiKeyStore keys, KnownKeys known, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var row = await FindAsync(id, caller, keys, cancellationToken);
        KeyGrant.CheckMayHave(caller, await OwnAsync(caller, keys, cancellationToken), row);
        var text = ApiKeyText.Create(row.Environment);
        await keys.RotateAsync(
            caller.TenantId, row.Id, text, body.Value.Overlap, Noted("key.rotated", row.Id, audit, context), cancellationToken);
        known.Remove(key => key.Caller.ApiKeyId == row.Id);
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(Envelope.Of(ApiKeyData.From(await FindAsync(id, caller, keys, cancellationToken), text)));
    }

    private static async Task<IResult> DeleteAsync(
        string id, Caller caller, ApiKeyStore keys, KnownKeys known, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var row = await FindAsync(id, caller, keys, cancellationToken);
        await keys.DeleteAsync(caller.TenantId, row.Id, Noted("key.deleted", row.Id, audit, context), cancellationToken);
        // Here at once; elsewhere as soon as they hear of it.
        known.Remove(key => key.Caller.ApiKeyId == row.Id);
        return TypedResults.NoContent();
    }

    private static async Task<ApiKeyRow> FindAsync(string id, Caller caller, ApiKeyStore keys, CancellationToken cancellationToken)
    {
        var row = Guid.TryParse(id, CultureInfo.InvariantCulture, out var known)
            ? await keys.FindAsync(caller.TenantId, known, cancellationToken)
            : null;
        return row is not null && (caller.Role >= Role.Admin || row.CreatedBy == caller.HolderId)
            ? row
            : throw RequestException.NotFound("There is no key with this id. GET /api/keys lists those that there are.");
    }

    /// <summary>The key that calls; null for a person.</summary>
    private static async Task<ApiKeyRow?> OwnAsync(Caller caller, ApiKeyStore keys, CancellationToken cancellationToken) =>
        caller.ApiKeyId is { } id ? await keys.FindAsync(caller.TenantId, id, cancellationToken) ?? throw Refusals.Credential() : null;

    private static AuditNote Noted(string what, Guid id, AuditLog audit, HttpContext context) =>
        audit.Noting(context, new(what) { Subject = new("api_key", id) });

    private static RequestException UnknownCursor() =>
        RequestException.Invalid("cursor", "must be the nextCursor of an earlier page, unchanged");
}
