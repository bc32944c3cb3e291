namespace ValueCanvas.Core.Jobs;

/// <summary>The types that Api accepts and Worker executes.</summary>
public static class JobTypes
{
    /// <summary>Args: the variables of the prompt. Result: <c>{"canvasId","canvas"}</c>.</summary>
    public const string CanvasGeneration = "canvas_generation";

    public static readonly IReadOnlyList<string> All = [CanvasGeneration];
}
