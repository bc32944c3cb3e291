namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>On whose behalf a request comes, and how much it matters. Set as a feature of the request (<c>context.Features.Set(caller)</c>) by
/// whoever has reason to believe the headers that say so; without it, everybody is alike.</summary>
/// <param name="Tenant">Tenants share a busy fleet equally, and share no cached prompts.</param>
/// <param name="Priority">Higher ones go first.</param>
/// <param name="Deadline">After this time nobody wants the answer any more; of a tenant's waiting requests the most urgent goes first.</param>
internal sealed record Caller(string Tenant, Priority Priority, DateTimeOffset? Deadline)
{
    private static readonly Caller Anyone = new("", Priority.Normal, null);

    public static Caller Of(HttpContext context) => context.Features.Get<Caller>() ?? Anyone;
}

internal enum Priority
{
    Low,
    Normal,
    High,
}
