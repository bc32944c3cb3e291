using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs.Submissions;

namespace ValueCanvas.Core.Jobs;

public static class JobsExtensions
{
    /// <summary>Adds <see cref="JobStore"/>, <see cref="JobLeases"/>, <see cref="JobSignal"/>; needs database and cache.</summary>
    public static IServiceCollection AddJobQueue(this IServiceCollection services)
    {
        services.AddSingleton<JobMetrics>();
        services.AddSingleton<JobSignal>();
        services.AddSingleton<JobLeases>();
        services.AddSingleton<JobCheckpoints>();
        services.AddSingleton<Schedules.JobScheduler>();
        services.AddSingleton(provider => new LiveText(
            provider.GetRequiredService<TimeProvider>(), provider.GetService<StackExchange.Redis.IConnectionMultiplexer>()));
        services.AddSingleton(provider => new SubmissionGroups(
            new SubmissionTable(
                provider.GetRequiredService<NpgsqlDataSource>(),
                provider.GetRequiredService<IServiceScopeFactory>(),
                provider.GetService<JobNoteWriter>()),
            provider.GetRequiredService<JobSignal>()));
        services.AddSingleton(provider => new JobStore(
            provider.GetRequiredService<TenantDatabase>(),
            provider.GetRequiredService<SubmissionGroups>(),
            provider.GetRequiredService<JobMetrics>(),
            provider.GetRequiredService<TimeProvider>()));
        return services;
    }
}
