using System.Diagnostics.CodeAnalysis;

namespace ValueCanvas.Core.Canvases;

/// <summary>The kinds of canvas. On the wire and in the database: <c>value_proposition</c>, <c>business_model</c>, <c>lean</c>.</summary>
public enum CanvasType
{
    ValueProposition,
    BusinessModel,
    Lean,
}

public static class CanvasTypes
{
    /// <summary>What a request that names no type gets.</summary>
    public const CanvasType Default = CanvasType.ValueProposition;

    private static readonly (CanvasType Type, string Name)[] Names =
    [
        (CanvasType.ValueProposition, "value_proposition"), (CanvasType.BusinessModel, "business_model"), (CanvasType.Lean, "lean"),
    ];


    public static string ToWireName(this CanvasType type) => Array.Find(Names, pair => pair.Type == type).Name
        ?? throw new ArgumentOutOfRangeException(nameof(type), type, "Not a canvas type.");

    /// <summary>Reads a wire name; exact, as it stands in the schema.</summary>
    public static bool TryParse([NotNullWhen(true)] string? wireName, out CanvasType type)
    {
        var found = Array.Find(Names, pair => pair.Name == wireName);
        type = found.Type;
        return found.Name is not null;
    }
}
