namespace ValueCanvas.Worker.Maintenance;

internal static class MaintenanceExtensions
{
    public static IServiceCollection AddJobMaintenance(this IServiceCollection services) =>
        services
            .AddSingleton<JobRescuer>().AddHostedService(provider => provider.GetRequiredService<JobRescuer>())
            .AddSingleton<JobUpkeep>().AddHostedService(provider => provider.GetRequiredService<JobUpkeep>())
            .AddHostedService<ScheduleRunner>();
}
