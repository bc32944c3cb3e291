namespace Aspire.Hosting.ApplicationModel;

/// <summary>Finds the resources that a value is made of.</summary>
internal static class ResourceReferences
{
    public static IEnumerable<IResource> Of(object value)
    {
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var pending = new Stack<object>([value]);
        while (pending.TryPop(out var next))
        {
            if (!seen.Add(next))
                continue;
            if (next is IResource resource)
                yield return resource;
            if (next is IValueWithReferences composite)
            {
                foreach (var reference in composite.References)
                    pending.Push(reference);
            }
        }
    }
}
