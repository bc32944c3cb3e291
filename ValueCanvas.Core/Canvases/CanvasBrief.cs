using System.Text.Json;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Canvases;

/// <summary>What a canvas is made from.</summary>
public sealed record CanvasBrief(string BusinessDescription, string? Industry, CanvasType Type)
{
    /// <summary>Key of the prompt whose variables these are.</summary>
    public const string PromptKey = "canvas.generate";

    /// <summary>From the variables of the prompt <see cref="PromptKey"/>, which have passed <see cref="Prompt.Validate"/>.</summary>
    public static CanvasBrief FromVariables(IReadOnlyDictionary<string, JsonElement> variables)
    {
        var type = Text("type") is { } name && CanvasTypes.TryParse(name, out var known) ? known : CanvasTypes.Default;
        return new CanvasBrief(Text("businessDescription") ?? "", Text("industry"), type);

        string? Text(string key) =>
            variables.TryGetValue(key, out var value) && value.ValueKind == JsonValueKind.String
            && value.GetString()?.Trim() is { Length: > 0 } text ? text : null;
    }

    /// <summary>The variables of the prompt <see cref="PromptKey"/>; a field that is absent has none.</summary>
    public IReadOnlyDictionary<string, JsonElement> ToVariables()
    {
        var variables = new Dictionary<string, JsonElement>
        {
            ["businessDescription"] = JsonSerializer.SerializeToElement(BusinessDescription),
            ["type"] = JsonSerializer.SerializeToElement(Type.ToWireName()),
        };
        if (!string.IsNullOrWhiteSpace(Industry))
            variables["industry"] = JsonSerializer.SerializeToElement(Industry);
        return variables;
    }
}
