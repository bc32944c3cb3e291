using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>Who starts after whom: after what it refers to, waits for, or is a part of. Stopping goes the other way.</summary>
internal sealed class StartOrder
{
    private readonly Dictionary<IResource, IResource[]> _before = [];
    private readonly Dictionary<IResource, int> _levels = [];

    public StartOrder(IEnumerable<IResource> resources, DashboardResource? dashboard)
    {
        var visiting = new HashSet<IResource>();
        foreach (var resource in resources)
            Visit(resource);

        int Visit(IResource resource)
        {
            if (_levels.TryGetValue(resource, out var known))
                return known;

            visiting.Add(resource);
            // In a circle of references, one has to be first.
            IResource[] before = [.. Needs(resource, dashboard).Distinct().Where(r => !visiting.Contains(r))];
            var level = before.Length == 0 ? 0 : 1 + before.Max(Visit);
            visiting.Remove(resource);
            _before[resource] = before;
            return _levels[resource] = level;
        }
    }

    public IReadOnlyList<IResource> Before(IResource resource) => _before[resource];

    /// <summary>0 for what needs nothing, otherwise one more than anything it needs.</summary>
    public int Level(IResource resource) => _levels[resource];

    private static IEnumerable<IResource> Needs(IResource resource, DashboardResource? dashboard)
    {
        foreach (var wait in resource.Annotations.OfType<WaitAnnotation>())
            yield return wait.Resource;
        foreach (var relationship in resource.Annotations.OfType<ResourceRelationshipAnnotation>())
        {
            if (relationship.Type == ResourceBuilderExtensions.ReferenceRelationship)
                yield return relationship.Resource;
        }

        if (resource is IResourceWithParent child)
            yield return child.Parent;
        if (resource is ProjectResource && dashboard is not null)
            yield return dashboard;
    }
}
