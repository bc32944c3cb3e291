using Microsoft.Extensions.Options;

namespace ValueCanvas.Worker.Execution;

internal static class ExecutionExtensions
{
    /// <summary>Adds everything that claims and runs jobs; the handlers are added apart, one for each type.</summary>
    public static IServiceCollection AddJobExecution(this IServiceCollection services)
    {
        services.AddSingleton<IValidateOptions<JobWorkerOptions>, OptionsValidator>();
        services.AddOptions<JobWorkerOptions>().BindConfiguration(JobWorkerOptions.Section).ValidateOnStart();
        services.AddSingleton<WorkerMetrics>();
        services.AddSingleton<RunningJobs>();
        services.AddSingleton<JobHints>();
        services.AddSingleton<JobExecutor>();
        services.AddSingleton<LeaseKeeper>();

        // Stopped in the opposite order: leases are kept while the claim loop drains.
        services.AddHostedService(provider => provider.GetRequiredService<LeaseKeeper>());
        services.AddHostedService(provider => provider.GetRequiredService<JobHints>());
        services.AddHostedService<ClaimLoop>();
        return services;
    }

    private sealed class OptionsValidator : IValidateOptions<JobWorkerOptions>
    {
        public ValidateOptionsResult Validate(string? name, JobWorkerOptions options) =>
            options.Problems().ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
