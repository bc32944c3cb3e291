namespace ValueCanvas.Core.Jobs;

/// <summary>The types that Api accepts and Worker executes; <see cref="JobInput"/> says what each takes.</summary>
public static class JobTypes
{
    /// <summary>Result: <c>{"response","model","provider","finishReason","usage"}</c>.</summary>
    public const string Chat = "chat";

    /// <summary>Result: <c>{"canvasId","canvas"}</c>.</summary>
    public const string CanvasGeneration = "canvas_generation";

    /// <summary>Result: <c>{"canvasId","canvas"}</c>, the canvas as it is after the change.</summary>
    public const string CanvasRefinement = "canvas_refinement";

    /// <summary>
    /// Result: <c>{"succeeded","failed","items":[{"index","answer"} or {"index","error"}]}</c>, in the order of the requests.
    /// </summary>
    public const string Batch = "batch";

    public static readonly IReadOnlyList<string> All = [Chat, CanvasGeneration, CanvasRefinement, Batch];
}
