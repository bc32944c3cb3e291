using Microsoft.AspNetCore.Authorization;
using ValueCanvas.Api.RateLimiting;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Recognises the caller and holds it against what the endpoint asks. Stands after routing and before everything that works for a caller;
/// a path that nothing is mapped to needs a caller too, so that strangers learn nothing of the routes.
/// </summary>
internal sealed class CallerAuthentication(RequestDelegate next, Callers callers, StrangerLimits strangers)
{
    public Task InvokeAsync(HttpContext context)
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<IAllowAnonymous>() is not null)
            return next(context);
        var isOne = Credential.TryRead(context.Request, out var credential);
        return isOne && credential is { } brought && callers.FindKnown(brought) is { } caller
            ? AdmitAsync(context, caller)
            : LookUpAsync(context, isOne, credential);
    }

    private async Task LookUpAsync(HttpContext context, bool isOne, Credential? credential)
    {
        // Only so many strangers are looked at.
        var charged = await strangers.EnterAsync(context);
        if (!isOne)
            throw Refusals.Credential();
        if (credential is not { } brought)
            throw Refusals.SignIn();
        Caller? caller;
        try
        {
            caller = await callers.FindAsync(brought, context.RequestAborted);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Nobody could be asked: that is not the client's doing.
            await strangers.LeaveAsync(context, charged);
            throw;
        }

        if (caller is null)
            throw Refusals.Credential();
        await strangers.LeaveAsync(context, charged);
        await AdmitAsync(context, caller);
    }

    private Task AdmitAsync(HttpContext context, Caller caller)
    {
        // Known before anything is refused: what counts and records refusals says whose they were.
        context.Features.Set(caller);
        var metadata = context.GetEndpoint()?.Metadata;
        if (caller.MustChangePassword && metadata?.GetMetadata<OneTimePasswordMetadata>() is null)
            throw Refusals.OneTimePassword();
        foreach (var requirement in metadata?.GetOrderedMetadata<Requirement>() ?? [])
            requirement.Check(caller);
        return next(context);
    }
}
