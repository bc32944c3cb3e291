using ValueCanvas.Worker.Canvases;
using ValueCanvas.Worker.Chat;

namespace ValueCanvas.Worker.Execution;

internal static class JobHandlers
{
    /// <summary>One for each of <see cref="Core.Jobs.JobTypes"/>.</summary>
    public static IServiceCollection AddJobHandlers(this IServiceCollection services)
    {
        services.AddSingleton<JobTextWriters>();
        services.AddSingleton<IJobHandler, ChatJobHandler>();
        services.AddSingleton<IJobHandler, CanvasGenerationHandler>();
        services.AddSingleton<IJobHandler, CanvasRefinementHandler>();
        services.AddSingleton<IJobHandler, BatchJobHandler>();
        return services;
    }
}
