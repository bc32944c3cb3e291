using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Protection;

/// <summary>What stands between the network and the features; docs/security.md says what protects from what.</summary>
internal static class ProtectionExtensions
{
    public static IServiceCollection AddProtection(this IServiceCollection services)
    {
        services.AddOptions<ProtectionOptions>().BindConfiguration(ProtectionOptions.Section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<ProtectionOptions>, ProtectionOptionsValidator>();
        services.AddSingleton<ClientSource>();
        services.AddSingleton<AdminNetworks>();
        services.AddSingleton<CsrfTokens>();
        services.AddClientAddress();
        services.AddServerLimits();
        services.AddCors();
        services.AddSingleton<IConfigureOptions<CorsOptions>, CrossOrigin>();
        return services.AddJson(CsrfContext.Default);
    }

    /// <summary>First of all: who the client is, and what browsers are told with every answer.</summary>
    public static IApplicationBuilder UseProtection(this IApplicationBuilder app) =>
        app.UseClientAddress().UseMiddleware<AnswerHeaders>();

    /// <summary>After error handling, before routing: what no honest client sends.</summary>
    public static IApplicationBuilder UseRequestChecks(this IApplicationBuilder app) =>
        app.UseMiddleware<Https>().UseMiddleware<RequestChecks>();

    /// <summary>After routing, before it is asked who calls.</summary>
    public static IApplicationBuilder UseOrigins(this IApplicationBuilder app) =>
        app.UseCors().Use(app.ApplicationServices.GetRequiredService<AdminNetworks>().CloseRoutes);

    /// <summary>After it is known who calls.</summary>
    public static IApplicationBuilder UseCallerChecks(this IApplicationBuilder app) =>
        app.Use(app.ApplicationServices.GetRequiredService<AdminNetworks>().LeaveOperatorsOutside).UseMiddleware<CrossSite>();

    private sealed class ProtectionOptionsValidator : IValidateOptions<ProtectionOptions>
    {
        public ValidateOptionsResult Validate(string? name, ProtectionOptions options) =>
            options.Problem() is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;
    }
}
