using System.Text.Json;

namespace ValueCanvas.Api.Canvases;

/// <summary>Body of <c>POST /api/canvas/generate</c>; its rules are those of the variables of the prompt <c>canvas.generate</c>.</summary>
internal sealed record CanvasBody(string? BusinessDescription, string? Industry, string? Type)
{
    public IReadOnlyDictionary<string, JsonElement> ToVariables()
    {
        var variables = new Dictionary<string, JsonElement>();
        Add("businessDescription", BusinessDescription);
        Add("industry", Industry);
        Add("type", Type);
        return variables;

        void Add(string name, string? value)
        {
            if (value is not null)
                variables[name] = JsonSerializer.SerializeToElement(value, CanvasContext.Default.String);
        }
    }
}
