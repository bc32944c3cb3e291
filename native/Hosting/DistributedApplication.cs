using System.Runtime.InteropServices;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;
using Aspire.Hosting.Publishing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>The described application: run it, or write it down.</summary>
public class DistributedApplication(IHost host) : IHost, IAsyncDisposable
{
    private bool _disposed;

    public IServiceProvider Services => host.Services;

    public ResourceNotificationService ResourceNotifications => Services.GetRequiredService<ResourceNotificationService>();

    public ResourceCommandService ResourceCommands => Services.GetRequiredService<ResourceCommandService>();

    private ApplicationOrchestrator Orchestrator => Services.GetRequiredService<ApplicationOrchestrator>();

    public static IDistributedApplicationBuilder CreateBuilder() => CreateBuilder([]);

    public static IDistributedApplicationBuilder CreateBuilder(string[] args) => new DistributedApplicationBuilder(args);

    public static IDistributedApplicationBuilder CreateBuilder(DistributedApplicationOptions options) =>
        new DistributedApplicationBuilder(options);

    public void Run() => RunAsync().GetAwaiter().GetResult();

    /// <summary>Runs until SIGINT or SIGTERM, or writes the manifest. What goes wrong is one line and exit code 1.</summary>
    public virtual async Task RunAsync(CancellationToken cancellationToken = default)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            if (Services.GetRequiredService<DistributedApplicationExecutionContext>().IsPublishMode)
                await PublishAsync(stop.Token).ConfigureAwait(false);
            else
                await Orchestrator.RunAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        catch (DistributedApplicationException e)
        {
            await Console.Error.WriteLineAsync($"ERROR: {e.Message}").ConfigureAwait(false);
            Environment.ExitCode = 1;
        }
        finally
        {
            await DisposeAsync().ConfigureAwait(false);
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    public virtual Task StartAsync(CancellationToken cancellationToken = default) => Orchestrator.StartAsync(cancellationToken);

    public virtual Task StopAsync(CancellationToken cancellationToken = default) => Orchestrator.StopAsync(cancellationToken);

    public virtual void Dispose()
    {
        DisposeAsync().AsTask().GetAwaiter().GetResult();
        GC.SuppressFinalize(this);
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;

        if (Services.GetService<ApplicationOrchestrator>() is { } orchestrator)
            await orchestrator.DisposeAsync().ConfigureAwait(false);
        await ((IAsyncDisposable)host).DisposeAsync().ConfigureAwait(false);
        GC.SuppressFinalize(this);
    }

    private Task PublishAsync(CancellationToken cancellationToken)
    {
        var configuration = Services.GetRequiredService<IConfiguration>();
        var output = configuration["output-path"] ?? configuration["Publishing:OutputPath"]
            ?? throw new DistributedApplicationException("The manifest needs a place: --output-path PATH.");
        return ManifestPublisher.PublishAsync(
            Services.GetRequiredService<DistributedApplicationModel>(),
            Services.GetRequiredService<DistributedApplicationExecutionContext>(),
            Path.GetFullPath(output), cancellationToken);
    }
}
