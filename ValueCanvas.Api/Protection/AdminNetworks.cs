using Microsoft.Extensions.Options;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// From where operators may act. Elsewhere their routes are closed to everyone, whatever key is shown, and an operator who calls another
/// route is an ordinary caller.
/// </summary>
internal sealed class AdminNetworks(IOptions<ProtectionOptions> options)
{
    private readonly NetworkSet _networks = new(options.Value.AdminNetworks);

    public bool Allows(HttpContext context) => _networks.IsEmpty || _networks.Contains(context.Connection.RemoteIpAddress);

    /// <summary>Before it is asked who calls: a stolen key is not even told whether it is good.</summary>
    public Task CloseRoutes(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Requirement.OfOperator>() is not null && !Allows(context))
        {
            Suspicion.Raise(context, "network");
            throw new RequestException(StatusCodes.Status403Forbidden, "This is closed to the network that you call from.")
            {
                Code = "network_not_allowed",
            };
        }

        return next(context);
    }

    /// <summary>After it.</summary>
    public Task LeaveOperatorsOutside(HttpContext context, RequestDelegate next)
    {
        if (Caller.Find(context) is { IsOperator: true } caller && !Allows(context))
            context.Features.Set(caller with { IsOperator = false });
        return next(context);
    }
}
