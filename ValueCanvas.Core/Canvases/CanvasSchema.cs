using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ValueCanvas.Core.Canvases;

/// <summary>
/// The shape of a type's content as JSON Schema; the model server is asked to keep to it and its answer is checked against it.
/// </summary>
public sealed class CanvasSchema
{
    public const int MinItems = 3;
    public const int MaxItems = 7;
    public const int MaxItemLength = 240;
    public const int MaxTitleLength = 120;

    private static readonly FrozenDictionary<CanvasType, CanvasSchema> Schemas = new CanvasSchema[]
    {
        new(CanvasType.ValueProposition,
        [
            ("customer_jobs", "What customers want to get done, functional, social or emotional"),
            ("pains", "What annoys, hinders or threatens them on the way"),
            ("gains", "Outcomes and benefits that they hope for"),
            ("products_and_services", "What the business offers"),
            ("pain_relievers", "How the offer takes away the pains"),
            ("gain_creators", "How the offer brings about the gains"),
        ]),
        new(CanvasType.BusinessModel,
        [
            ("customer_segments", "For whom value is created"),
            ("value_propositions", "Which problem is solved, which need met"),
            ("channels", "How customers are reached and served"),
            ("customer_relationships", "How customers are won, kept and grown"),
            ("revenue_streams", "What customers pay for, and how"),
            ("key_resources", "What the business must own or have at hand"),
            ("key_activities", "What the business must do well"),
            ("key_partnerships", "Who supplies or supports it"),
            ("cost_structure", "What costs most"),
        ]),
        new(CanvasType.Lean,
        [
            ("problem", "The top problems of the customers, and what they use today"),
            ("solution", "What answers each problem"),
            ("unique_value_proposition", "Why it is different and worth paying attention to"),
            ("unfair_advantage", "What cannot easily be copied or bought"),
            ("customer_segments", "Target customers and early adopters"),
            ("key_metrics", "Numbers that tell how the business is doing"),
            ("channels", "Paths to customers"),
            ("cost_structure", "Fixed and variable costs"),
            ("revenue_streams", "Where the money comes from"),
        ]),
    }.ToFrozenDictionary(schema => schema.Type);

    private readonly NJsonSchema.JsonSchema _validator;

    private CanvasSchema(CanvasType type, (string Name, string Meaning)[] blocks)
    {
        Type = type;
        Blocks = [.. blocks.Select(block => block.Name)];
        Document = JsonSerializer.SerializeToElement(Describe(type, blocks));
        // Synchronous in fact: the schema refers to nothing outside itself.
        _validator = NJsonSchema.JsonSchema.FromJsonAsync(Document.GetRawText()).GetAwaiter().GetResult();
    }

    public CanvasType Type { get; }

    /// <summary>Name of the schema, such as <c>lean_canvas</c>.</summary>
    public string Name => $"{Type.ToWireName()}_canvas";

    /// <summary>The blocks in the order in which they are read.</summary>
    public IReadOnlyList<string> Blocks { get; }

    /// <summary>The JSON Schema.</summary>
    public JsonElement Document { get; }

    public static CanvasSchema For(CanvasType type) => Schemas[type];

    /// <summary>What is wrong with a content, one short English phrase each, without its text; empty where it is valid.</summary>
    public IReadOnlyList<string> Validate(string json)
    {
        try
        {
            return [.. _validator.Validate(json).Select(error => $"{error.Path}: {error.Kind}").Distinct().Take(20)];
        }
        catch (Newtonsoft.Json.JsonException)
        {
            return ["the answer is not JSON, or not all of it"];
        }
    }

    private static JsonObject Describe(CanvasType type, (string Name, string Meaning)[] blocks)
    {
        var properties = new JsonObject { ["title"] = Text("Names the business in a few words", MaxTitleLength) };
        if (type == CanvasType.ValueProposition)
            properties["customer_segment"] = Text("The most important group of customers", MaxItemLength);
        properties["blocks"] = Closed([.. blocks.Select(block => KeyValuePair.Create(block.Name, (JsonNode?)Items(block.Meaning)))]);
        return Closed(properties);
    }

    private static JsonObject Items(string meaning) => new()
    {
        ["type"] = "array",
        ["description"] = meaning,
        ["items"] = Text(null, MaxItemLength),
        ["minItems"] = MinItems,
        ["maxItems"] = MaxItems,
    };

    private static JsonObject Text(string? meaning, int maxLength)
    {
        var text = new JsonObject { ["type"] = "string", ["minLength"] = 1, ["maxLength"] = maxLength };
        if (meaning is not null)
            text["description"] = meaning;
        return text;
    }

    private static JsonObject Closed(JsonObject properties) => new()
    {
        ["type"] = "object",
        ["required"] = new JsonArray([.. properties.Select(property => (JsonNode)property.Key)]),
        ["properties"] = properties,
        ["additionalProperties"] = false,
    };
}
