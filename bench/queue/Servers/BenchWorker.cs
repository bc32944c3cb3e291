using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Worker.Execution;
using ValueCanvas.Worker.Maintenance;

namespace ValueCanvas.QueueBench.Servers;

/// <summary>A worker as ValueCanvas.Worker puts it together; only what it does with a chat is nothing, or to wait.</summary>
internal static class BenchWorker
{
    /// <summary>How long a job takes, in milliseconds.</summary>
    public const string ServiceVariable = "BENCH_SERVICE_MS";

    public static async Task<int> RunAsync()
    {
        var builder = WebApplication.CreateBuilder();
        builder.AddServiceDefaults();
        builder.AddValueCanvasDatabase();
        builder.AddValueCanvasCache();
        builder.Services.AddJobQueue().AddJobExecution().AddJobMaintenance();
        var service = TimeSpan.FromMilliseconds(
            double.Parse(builder.Configuration[ServiceVariable] ?? "0", CultureInfo.InvariantCulture));
        builder.Services.AddSingleton<IJobHandler>(services => new IdleHandler(services.GetRequiredService<TimeProvider>(), service));
        var app = builder.Build();
        app.MapDefaultEndpoints();
        await app.RunAsync();
        return 0;
    }

    private sealed class IdleHandler(TimeProvider time, TimeSpan service) : IJobHandler
    {
        public string Type => JobTypes.Chat;

        public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
        {
            // From when the submission's transaction began, by PostgreSQL's clock, which is this machine's.
            var pickup = time.GetUtcNow() - job.CreatedAt;
            if (service > TimeSpan.Zero)
                await Task.Delay(service, time, cancellationToken);
            return new JobOutcome.Succeeded(
                string.Create(CultureInfo.InvariantCulture, $$"""{"pickupUs":{{(long)pickup.TotalMicroseconds}}}"""));
        }
    }
}
