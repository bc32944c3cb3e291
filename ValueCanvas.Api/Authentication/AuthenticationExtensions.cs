namespace ValueCanvas.Api.Authentication;

internal static class AuthenticationExtensions
{
    /// <summary>After routing, CORS and what answers strangers; before rate limits and endpoints.</summary>
    public static IApplicationBuilder UseCallers(this IApplicationBuilder app) => app.UseMiddleware<CallerAuthentication>();
}
