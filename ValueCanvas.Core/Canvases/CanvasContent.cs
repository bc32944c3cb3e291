using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Canvases;

/// <summary>A canvas as people fill it in.</summary>
/// <param name="Title">A few words that name the business.</param>
/// <param name="CustomerSegment">For whom; a value proposition has one, the other types name segments in a block.</param>
/// <param name="Blocks">Items by block, in the order of <see cref="CanvasSchema.Blocks"/>; 3 to 7 each, trimmed, none twice.</param>
public sealed record CanvasContent(string Title, string? CustomerSegment, IReadOnlyDictionary<string, IReadOnlyList<string>> Blocks)
{
    /// <summary>The content of a stored canvas. PostgreSQL's jsonb forgets the order of keys: blocks are put in the schema's.</summary>
    public static CanvasContent Of(Canvas canvas)
    {
        var content = Parse(canvas.Content);
        var blocks = CanvasSchema.For(canvas.Type).Blocks.Where(content.Blocks.ContainsKey);
        return content with { Blocks = blocks.ToDictionary(block => block, block => content.Blocks[block]) };
    }

    /// <summary>Reads <see cref="Canvas.Content"/>.</summary>
    /// <exception cref="JsonException">It is not JSON of this shape.</exception>
    public static CanvasContent Parse(string json) =>
        JsonSerializer.Deserialize(json, CanvasContentContext.Default.CanvasContent) ?? throw new JsonException("The canvas is null.");

    /// <summary>JSON, the shape of <see cref="Canvas.Content"/>.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, CanvasContentContext.Default.CanvasContent);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CanvasContent))]
internal sealed partial class CanvasContentContext : JsonSerializerContext;
