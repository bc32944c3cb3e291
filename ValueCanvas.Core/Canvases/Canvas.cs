namespace ValueCanvas.Core.Canvases;

/// <summary>A stored canvas: one row of <c>canvases</c>, visible to its tenant alone.</summary>
public sealed class Canvas
{
    public required Guid Id { get; init; }

    public required Guid TenantId { get; init; }

    public required CanvasType Type { get; init; }

    public required string Title { get; set; }

    public required string BusinessDescription { get; init; }

    public string? Industry { get; init; }

    /// <summary>
    /// JSON, as <see cref="CanvasContent"/> writes it: <c>{"title":"…","blocks":{"customer_jobs":["…",…],…}}</c>, and for a value
    /// proposition <c>"customer_segment":"…"</c> beside the title. Valid against <see cref="CanvasSchema"/> of the type.
    /// </summary>
    public required string Content { get; set; }

    /// <summary>The model that wrote it, by the name its server gives it.</summary>
    public required string Model { get; init; }

    /// <summary>Keys and versions of the prompts, such as <c>canvas.generate@1f0c…,canvas.system.lean@77ab…</c>.</summary>
    public required string PromptVersion { get; init; }

    /// <summary>Tokens of all calls that it took, where the model server reported them.</summary>
    public int? InputTokens { get; init; }

    public int? OutputTokens { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; set; }
}
