using System.Text.RegularExpressions;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.ProviderKeys;

namespace ValueCanvas.Api.ProviderKeys;

internal static partial class ProviderKeyEndpoints
{
    public static IServiceCollection AddProviderKeys(this IServiceCollection services)
    {
        services.AddSingleton<ProviderKeyStore>();
        services.AddProviderKeysOfTenants();
        return services.AddJson(ProviderKeyContext.Default);
    }

    public static RouteGroupBuilder MapProviderKeyEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Provider keys").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Tenant).RequireRole(Role.Admin);
        group.MapGet("", async (Caller caller, ProviderKeyStore keys, CancellationToken cancellationToken) =>
                TypedResults.Ok(Envelope.Of(await keys.ListAsync(caller.TenantId, cancellationToken))))
            .WithSummary("The tenant's own keys of model providers, as far as they are shown")
            .Produces<Envelope<IReadOnlyList<ProviderKeyData>>>();
        group.MapGet("/{provider}", GetAsync)
            .WithSummary("One of them")
            .Produces<Envelope<ProviderKeyData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/{provider}", SetAsync)
            .WithSummary("Set the key that requests of the tenant go to this provider with; it is not shown again")
            .Produces<Envelope<ProviderKeyData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapDelete("/{provider}", DeleteAsync)
            .WithSummary("Delete it: within a second the provider is asked with the installation's own again")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> GetAsync(
        string provider, Caller caller, ProviderKeyStore keys, CancellationToken cancellationToken) =>
        (await keys.ListAsync(caller.TenantId, cancellationToken)).FirstOrDefault(key => key.Provider == provider) is { } found
            ? TypedResults.Ok(Envelope.Of(found))
            : throw Unknown();

    private static async Task<IResult> SetAsync(
        string provider, JsonBody<ProviderKeyBody> body, Caller caller, ProviderKeyStore keys, KnownProviderKeys known, AuditLog audit,
        HttpContext context, CancellationToken cancellationToken)
    {
        if (!ProviderName().IsMatch(provider))
            throw RequestException.Invalid("provider", "must be a provider's name: small letters, digits, '-' and '_', for example openai");
        var set = await keys.SetAsync(
            caller.TenantId, provider, body.Value.Key!, Noted("provider_key.set", provider, audit, context), cancellationToken);
        known.Forget(caller.TenantId);
        return TypedResults.Ok(Envelope.Of(set));
    }

    private static async Task<IResult> DeleteAsync(
        string provider, Caller caller, ProviderKeyStore keys, KnownProviderKeys known, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        if (!await keys.DeleteAsync(
            caller.TenantId, provider, Noted("provider_key.deleted", provider, audit, context), cancellationToken))
        {
            throw Unknown();
        }

        known.Forget(caller.TenantId);
        return TypedResults.NoContent();
    }

    private static AuditNote Noted(string what, string provider, AuditLog audit, HttpContext context) =>
        audit.Noting(context, new(what) { Subject = new("provider_key", provider) });

    private static RequestException Unknown() =>
        RequestException.NotFound("The tenant has no key of this provider. GET /api/provider-keys lists those that there are.");

    [GeneratedRegex("^[a-z0-9][a-z0-9_-]{0,62}$")]
    private static partial Regex ProviderName();
}
