namespace ValueCanvas.Core.Inference;

/// <summary>
/// On whose behalf and for what a model is called. It goes with the request through the handlers of the HTTP client "inference" (usage,
/// cache, meter), so that every way to a model, of Api and Worker, is counted and cached alike. A request without it is passed on as it is.
/// </summary>
public sealed record InferenceCall(Guid TenantId)
{
    private static readonly HttpRequestOptionsKey<InferenceCall> OptionsKey = new("ValueCanvas.InferenceCall");

    /// <summary>Names the call in <c>llm_usage</c>: a second row with it is none.</summary>
    public Guid Id { get; init; } = Guid.CreateVersion7();

    public Guid? UserId { get; init; }

    public Guid? ApiKeyId { get; init; }

    /// <summary>The job that asks; null for a request.</summary>
    public Guid? JobId { get; init; }

    /// <summary>Which of the job's questions this is. Of each the tenant pays one answer, however many attempts ask it.</summary>
    public int JobQuestion { get; init; }

    /// <summary>The prompt of the catalogue and its version; null where the caller wrote its own.</summary>
    public (string Key, string Version)? Prompt { get; init; }

    /// <summary>The path that the client called: <c>/v1/chat/completions</c>, <c>/api/llm/chat</c>.</summary>
    public required string Route { get; init; }

    /// <summary>What the caller wants of the cache.</summary>
    public CacheControl Cache { get; init; } = CacheControl.WhenDeterministic;

    /// <summary>
    /// What became of it; filled in while the answer is read, whole when its end has been read. It is another object once somebody else's
    /// call pays, or this one pays for others: take it when the answer has been read, or given up and disposed, not before.
    /// </summary>
    public InferenceOutcome Outcome { get; set; } = new();

    /// <summary>The same on whose behalf and for what, as a call of its own.</summary>
    public InferenceCall Again() => this with { Id = Guid.CreateVersion7(), Outcome = new() };

    public static InferenceCall? Of(HttpRequestMessage request) => request.Options.TryGetValue(OptionsKey, out var call) ? call : null;

    public void AttachTo(HttpRequestMessage request) => request.Options.Set(OptionsKey, this);
}
