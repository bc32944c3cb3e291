using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace ValueCanvas.ServiceDefaults.Shutdown;

internal static class GracefulShutdown
{
    private static readonly TimeSpan LeastRest = TimeSpan.FromSeconds(5);

    public static void AddGracefulShutdown(this IServiceCollection services)
    {
        services.AddOptions<ShutdownOptions>()
            .BindConfiguration(ShutdownOptions.Section)
            .Validate(o => o.Drain >= TimeSpan.Zero, "Shutdown:Drain must not be negative.")
            .Validate(o => o.Timeout >= o.Drain + LeastRest, "Shutdown:Timeout must be at least 5 seconds longer than Shutdown:Drain.")
            .ValidateOnStart();
        services.AddOptions<HostOptions>()
            .Configure<IOptions<ShutdownOptions>>((host, shutdown) => host.ShutdownTimeout = shutdown.Value.Timeout);
        services.AddHostedService<Drain>();
        services.AddTransient<IStartupFilter, DrainFilter>();
    }

    /// <summary>Holds the server open for the drain: the host stops nothing before its lifecycle services have agreed.</summary>
    private sealed class Drain(IOptions<ShutdownOptions> options, IHostApplicationLifetime lifetime, TimeProvider time)
        : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken)
        {
            // A signal has said so already; a host that is stopped by its owner says so only after this.
            lifetime.StopApplication();
            return Task.Delay(options.Value.Drain, time, cancellationToken);
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
