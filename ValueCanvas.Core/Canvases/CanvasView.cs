using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Canvases;

/// <summary>A canvas as people and programs see it: in the API's answers and in the result of a job, as camel-case JSON.</summary>
/// <remarks>
/// <c>type</c> is the wire name of the <see cref="CanvasType"/>; <c>promptVersion</c> names the prompts that were used, each with the hash
/// of its content; <c>usage</c> is null where the model server reported none.
/// </remarks>
public sealed record CanvasView(
    Guid Id,
    string Type,
    string Title,
    string BusinessDescription,
    string? Industry,
    CanvasContentView Content,
    string Model,
    string PromptVersion,
    CanvasUsage? Usage,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    public static CanvasView Of(Canvas canvas)
    {
        var content = CanvasContent.Of(canvas);
        return new(
            canvas.Id,
            canvas.Type.ToWireName(),
            canvas.Title,
            canvas.BusinessDescription,
            canvas.Industry,
            new(content.Title, content.CustomerSegment, content.Blocks),
            canvas.Model,
            canvas.PromptVersion,
            canvas is { InputTokens: { } input, OutputTokens: { } output } ? new(input, output, input + output) : null,
            canvas.CreatedAt,
            canvas.UpdatedAt);
    }
}

/// <summary>What is on the canvas: items by block, the blocks in the schema's order and by its names.</summary>
public sealed record CanvasContentView(
    string Title,
    [property: JsonPropertyName("customer_segment"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? CustomerSegment,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Blocks);

/// <summary>Tokens that a canvas took.</summary>
public sealed record CanvasUsage(int InputTokens, int OutputTokens, int TotalTokens);
