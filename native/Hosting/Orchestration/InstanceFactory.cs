using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Launch;
using Aspire.Hosting.Postgres;
using Aspire.Hosting.Redis;

namespace Aspire.Hosting.Orchestration;

/// <summary>Knows how each kind of resource comes to life on a plain machine.</summary>
internal sealed class InstanceFactory(
    DistributedApplicationExecutionContext executionContext, ResourceNotificationService notifications, DataDirectory data,
    ProcessLauncher launcher, EndpointAllocation endpoints, ConsoleLog log, DashboardResource? dashboard, string runId)
{
    private const string ExportInterval = "1000";

    public IEnumerable<ResourceInstance> Create(IResource resource)
    {
        var replicas = resource.GetReplicaCount();
        for (var i = 0; i < replicas; i++)
        {
            var replica = i;
            var id = replicas == 1 ? resource.Name : $"{resource.Name}-{replica}";
            yield return new ResourceInstance(
                resource, id, endpoints.Of(resource, replica),
                async (first, ct) => await PrepareAsync(resource, replica, first, ct).ConfigureAwait(false) is { } command
                    ? Marked(command)
                    : null,
                launcher, notifications, log);
        }
    }

    private async Task<ProcessCommand?> PrepareAsync(IResource resource, int replica, bool first, CancellationToken cancellationToken)
    {
        switch (resource)
        {
            case DashboardResource board:
                return board.Command();
            case RedisResource redis:
                return await RedisServer.PrepareAsync(redis, data, launcher, first, cancellationToken).ConfigureAwait(false);
            case PostgresServerResource server:
                return await PostgresServer.PrepareAsync(server, data, launcher, first, cancellationToken).ConfigureAwait(false);
            case PostgresDatabaseResource database:
                await notifications.WaitForResourceHealthyAsync(database.Parent.Name, cancellationToken).ConfigureAwait(false);
                await PostgresProbe.CreateDatabaseAsync(database, cancellationToken).ConfigureAwait(false);
                return null;
            case ProjectResource project:
                return await PrepareAsync(project, replica, cancellationToken).ConfigureAwait(false);
            case ContainerResource container:
                throw new DistributedApplicationException(
                    $"Resource '{container.Name}' is a container " +
                    $"({container.Annotations.OfType<ContainerImageAnnotation>().LastOrDefault()?.Image}), " +
                    "and this is native mode, which runs no containers. Install a container engine and use AspirePackages=official.");
            default:
                // Parameters, connection strings and services elsewhere have nothing to start.
                return null;
        }
    }

    private async Task<ProcessCommand> PrepareAsync(ProjectResource project, int replica, CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string>();
        if (dashboard is not null)
            AddTelemetry(environment, dashboard);
        var variables = await ResourceConfiguration.EnvironmentAsync(project, executionContext, cancellationToken).ConfigureAwait(false);
        foreach (var (name, value) in variables)
            environment[name] = await ResourceConfiguration.ValueAsync(value, project, cancellationToken).ConfigureAwait(false) ?? "";

        var arguments = new List<string>();
        var values = await ResourceConfiguration.ArgumentsAsync(project, executionContext, cancellationToken).ConfigureAwait(false);
        foreach (var value in values)
        {
            if (await ResourceConfiguration.ValueAsync(value, project, cancellationToken).ConfigureAwait(false) is { } argument)
                arguments.Add(argument);
        }

        return ProjectCommand.Create(
            project, environment, arguments, endpoints.Of(project, replica), $"{project.Name}-{replica}-{runId[..8]}");
    }

    // Everything at once, at a developer's pace; as Aspire sets it.
    private static void AddTelemetry(Dictionary<string, string> environment, DashboardResource dashboard)
    {
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = dashboard.OtlpUrl;
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc";
        environment["OTEL_BLRP_SCHEDULE_DELAY"] = ExportInterval;
        environment["OTEL_BSP_SCHEDULE_DELAY"] = ExportInterval;
        environment["OTEL_METRIC_EXPORT_INTERVAL"] = ExportInterval;
        environment["OTEL_TRACES_SAMPLER"] = "always_on";
        environment["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based";
    }

    private ProcessCommand Marked(ProcessCommand command) => command with
    {
        Environment = new Dictionary<string, string>(command.Environment) { [Watchdog.Mark] = runId },
    };
}
