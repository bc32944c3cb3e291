using ValueCanvas.InferenceProxy.Callers;

namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>On whose behalf a request comes, and how much it matters, as a caller says that has proven itself
/// (<see cref="Callers.InternalCaller"/>).</summary>
/// <param name="Tenant">Tenants share a busy fleet equally, and share no cached prompts.</param>
/// <param name="Priority">Higher ones go first.</param>
/// <param name="Deadline">After this time nobody wants the answer any more; of a tenant's waiting requests the most urgent goes
/// first.</param>
internal sealed record Caller(string Tenant, Priority Priority, DateTimeOffset? Deadline)
{
    /// <summary>Whoever has not: all of them are alike.</summary>
    public static readonly Caller Anyone = new("", Priority.Normal, null);

    /// <summary>The tenant's own keys of providers; null where it has none.</summary>
    public TenantKeys? Keys { get; init; }
}

internal enum Priority
{
    Low,
    Normal,
    High,
}
