using ValueCanvas.Core.Changes;

namespace ValueCanvas.Api.Authentication;

internal static class AuthenticationExtensions
{
    /// <summary>Needs the database, secrets and access tokens.</summary>
    public static IServiceCollection AddCallers(this IServiceCollection services)
    {
        services.AddSingleton<KnownKeys>();
        services.AddSingleton<ApiKeyLookups>();
        services.AddSingleton<Callers>();
        services.AddChangeFollower<AccessChanges>();
        return services.AddHostedService<LastUse>();
    }

    /// <summary>After routing, CORS and what answers strangers; before rate limits and endpoints.</summary>
    public static IApplicationBuilder UseCallers(this IApplicationBuilder app) => app.UseMiddleware<CallerAuthentication>();
}
