using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Gives every endpoint of every replica its port before anything starts, so that all addresses are known by then. An endpoint of several
/// replicas has one more: the address that others connect to, of a <see cref="ReplicaFront"/>.
/// </summary>
internal sealed class EndpointAllocation : IDisposable
{
    private readonly Dictionary<(IResource Resource, int Replica), Dictionary<string, int>> _ports = [];
    private readonly List<int> _free = [];

    /// <param name="resources">All of the application.</param>
    /// <param name="isTest">Then fixed ports are free ones, but for the dashboard's, which a test asks for on purpose.</param>
    public EndpointAllocation(IEnumerable<IResource> resources, bool isTest)
    {
        foreach (var resource in resources)
        {
            for (var replica = 0; replica < resource.GetReplicaCount(); replica++)
                _ports[(resource, replica)] = [];

            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            {
                var port = endpoint.Port is { } wanted and > 0 && (!isTest || resource is DashboardResource)
                    ? PortAllocator.Fixed(wanted, $"'{resource.Name}' ({endpoint.Name})", Remedy(resource, endpoint))
                    : Free();
                endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port);
                for (var replica = 0; replica < resource.GetReplicaCount(); replica++)
                    _ports[(resource, replica)][endpoint.Name] = resource.GetReplicaCount() == 1 ? port : Free();
            }
        }
    }

    public IReadOnlyDictionary<string, int> Of(IResource resource, int replica) => _ports[(resource, replica)];

    public void Dispose() => PortAllocator.Return(_free);

    private int Free()
    {
        var port = PortAllocator.Free();
        _free.Add(port);
        return port;
    }

    private static string Remedy(IResource resource, EndpointAnnotation endpoint) => resource is DashboardResource
        ? "Stop what listens there, or move the dashboard: VALUECANVAS_DASHBOARD_PORT=N, ./run.sh --dashboard-port N."
        : endpoint.IsExternal
            ? "Stop what listens there, or move the application: VALUECANVAS_PORT=N, ./run.sh --port N."
            : "Stop what listens there, or give the endpoint another port in the AppHost.";
}
