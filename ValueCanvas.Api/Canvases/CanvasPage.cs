using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Canvases;

namespace ValueCanvas.Api.Canvases;

/// <summary>One line of the list.</summary>
internal sealed record CanvasSummary(
    Guid Id, string Type, string Title, string? Industry, string Model, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record CanvasPage(IReadOnlyList<CanvasSummary> Items, string? NextCursor);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CanvasBody))]
[JsonSerializable(typeof(Envelope<CanvasView>))]
[JsonSerializable(typeof(Envelope<CanvasPage>))]
internal sealed partial class CanvasContext : JsonSerializerContext;
