using Microsoft.AspNetCore.Authorization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Recognises the caller and holds it against what the endpoint asks. Stands after routing and before everything that works for a caller;
/// a path that nothing is mapped to needs a caller too, so that strangers learn nothing of the routes.
/// </summary>
internal sealed class CallerAuthentication(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        var endpoint = context.GetEndpoint();
        if (endpoint?.Metadata.GetMetadata<IAllowAnonymous>() is null)
        {
            var caller = Development;
            context.Features.Set(caller);
            foreach (var requirement in endpoint?.Metadata.GetOrderedMetadata<Requirement>() ?? [])
                requirement.Check(caller);
        }

        return next(context);
    }

    // The one switch: until there are keys, everyone is the development tenant's owner.
    private static readonly Caller Development = new(Tenants.Development, Role.Owner, CredentialKind.ApiKey) { IsOperator = true };
}
