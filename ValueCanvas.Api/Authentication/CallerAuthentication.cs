using Microsoft.AspNetCore.Authorization;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Recognises the caller and holds it against what the endpoint asks. Stands after routing and before everything that works for a caller;
/// a path that nothing is mapped to needs a caller too, so that strangers learn nothing of the routes.
/// </summary>
internal sealed class CallerAuthentication(RequestDelegate next, Callers callers)
{
    public Task InvokeAsync(HttpContext context)
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<IAllowAnonymous>() is not null)
            return next(context);
        var credential = Credential.Read(context.Request) ?? throw Refusals.SignIn();
        var finding = callers.FindAsync(credential, context.RequestAborted);
        return finding.IsCompletedSuccessfully ? AdmitAsync(context, finding.Result) : WaitAsync(context, finding);
    }

    private async Task WaitAsync(HttpContext context, ValueTask<Caller?> finding) => await AdmitAsync(context, await finding);

    private Task AdmitAsync(HttpContext context, Caller? caller)
    {
        if (caller is null)
            throw Refusals.Credential();
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
