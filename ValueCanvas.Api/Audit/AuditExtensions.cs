namespace ValueCanvas.Api.Audit;

internal static class AuditExtensions
{
    /// <summary><see cref="AuditLog"/> for all features; needs the database.</summary>
    public static IServiceCollection AddAudit(this IServiceCollection services)
    {
        services.AddOptions<AuditOptions>()
            .BindConfiguration(AuditOptions.Section)
            .Validate(o => o.Retention >= AuditOptions.LeastRetention, "Audit:Retention must be at least 30 days.")
            .Validate(o => o.DeniedRetention >= AuditOptions.LeastRetention, "Audit:DeniedRetention must be at least 30 days.")
            .Validate(o => o.MaxQueued > 0, "Audit:MaxQueued must be positive.")
            .Validate(o => o.StopTimeout >= TimeSpan.Zero, "Audit:StopTimeout must not be negative.")
            .Validate(o => o.MaxRefusalsPerMinute > 0, "Audit:MaxRefusalsPerMinute must be positive.")
            .Validate(o => o.MaxRefusalsPerSource > 0, "Audit:MaxRefusalsPerSource must be positive.")
            .ValidateOnStart();
        services.AddSingleton<AuditMetrics>();
        services.AddSingleton<AuditQueue>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<AuditReader>();
        services.AddHostedService<AuditWriter>();
        services.AddHostedService<MalformedRequests>();
        services.AddSingleton<AuditPruner>();
        services.AddHostedService(provider => provider.GetRequiredService<AuditPruner>());
        return services.ConfigureHttpJsonOptions(
            options => options.SerializerOptions.TypeInfoResolverChain.Insert(0, AuditContext.Default));
    }

    /// <summary>First of all: it sees how every request ends.</summary>
    public static IApplicationBuilder UseAudit(this IApplicationBuilder app) => app.UseMiddleware<AuditRequests>();
}
