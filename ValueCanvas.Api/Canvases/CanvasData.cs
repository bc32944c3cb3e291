using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Canvases;

namespace ValueCanvas.Api.Canvases;

/// <summary>A canvas as the API shows it.</summary>
internal sealed record CanvasData(
    Guid Id,
    string Type,
    string Title,
    string BusinessDescription,
    string? Industry,
    CanvasContentData Content,
    string Model,
    string PromptVersion,
    CanvasUsage? Usage,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    public static CanvasData From(Canvas canvas)
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
internal sealed record CanvasContentData(
    string Title,
    [property: JsonPropertyName("customer_segment"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? CustomerSegment,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Blocks);

internal sealed record CanvasUsage(int InputTokens, int OutputTokens, int TotalTokens);

/// <summary>One line of the list.</summary>
internal sealed record CanvasSummary(
    Guid Id, string Type, string Title, string? Industry, string Model, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record CanvasPage(IReadOnlyList<CanvasSummary> Items, string? NextCursor);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CanvasBody))]
[JsonSerializable(typeof(Envelope<CanvasData>))]
[JsonSerializable(typeof(Envelope<CanvasPage>))]
internal sealed partial class CanvasContext : JsonSerializerContext;
