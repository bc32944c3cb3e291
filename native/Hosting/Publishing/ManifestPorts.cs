using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>Which ports the manifest names: those that were asked for, and one from 8000 up where a deployment could not choose.</summary>
internal sealed class ManifestPorts
{
    private readonly HashSet<int> _used = [];
    private int _next = 8000;

    /// <summary>A port that is null stays out of the manifest: it is the target port, or the deployment's choice.</summary>
    public IReadOnlyList<(EndpointAnnotation Endpoint, int? Port, int? TargetPort)> Resolve(IResource resource)
    {
        var bindings = new List<(EndpointAnnotation, int?, int?)>();
        var defaultSchemes = new HashSet<string>();
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            var isHttp = endpoint.UriScheme is "http" or "https";

            // A project's first http and https endpoints get their ports where it is deployed.
            var isDefault = resource is ProjectResource && isHttp && defaultSchemes.Add(endpoint.UriScheme);
            var target = endpoint.TargetPort
                ?? (resource is ContainerResource ? endpoint.Port : null)
                ?? (isDefault ? null : Allocate());
            var port = endpoint.Port ?? target;
            if (port is { } used)
                _used.Add(used);
            if (target is { } usedTarget)
                _used.Add(usedTarget);

            bindings.Add((endpoint, endpoint.Port == target ? null : endpoint.Port, target));
        }

        return bindings;
    }

    private int Allocate()
    {
        while (_used.Contains(_next))
            _next++;

        return _next;
    }
}
