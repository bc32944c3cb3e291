using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Accounts;

internal static class AccountsExtensions
{
    private const int LongestMark = 64;

    /// <summary>Tells Api and Worker what their calls cost, where they ask for it by <c>x-valuecanvas-accounts</c>. Anybody else costs it
    /// a look at the headers.</summary>
    public static IApplicationBuilder UseAccounts(this IApplicationBuilder app)
    {
        var fleet = app.ApplicationServices.GetRequiredService<Fleet>();
        return app.Use((context, next) =>
            context.Request.Headers.TryGetValue(AccountedResponse.Header,
                out var asked) && asked is [{ Length: > 0 and <= LongestMark } mark]
            && mark.All(char.IsAsciiHexDigit) && InternalCaller.Of(context.Request, fleet.Current.Options).IsProven
                ? TellAsync(context, next, mark)
                : next(context));
    }

    private static async Task TellAsync(HttpContext context, RequestDelegate next, string mark)
    {
        var accounts = new CallAccounts(mark);
        context.Features.Set(accounts);
        await using var response = new AccountedResponse(context.Response, accounts);
        await next(context);
        await response.EndAsync(context.RequestAborted);
    }
}
