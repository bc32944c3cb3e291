using System.Text.Json;

namespace ValueCanvas.VllmSimulator.Generation;

internal enum OutputKind
{
    Text,
    JsonObject,
    JsonSchema,
    Choice,
    Pattern,
}

/// <summary>What the answer must look like: <c>response_format</c> or vLLM's <c>structured_outputs</c>, read and checked.</summary>
internal sealed record OutputFormat(OutputKind Kind, JsonElement Schema = default, IReadOnlyList<string>? Choices = null,
    string? Pattern = null)
{
    public static readonly OutputFormat Text = new(OutputKind.Text);
    private static readonly OutputFormat AnyObject = new(OutputKind.JsonObject);

    /// <summary>The format, or what is wrong with what was asked.</summary>
    public static (OutputFormat? Format, string? Error) Read(JsonElement? responseFormat, JsonElement? structuredOutputs)
    {
        if (structuredOutputs is { ValueKind: JsonValueKind.Object } structured)
            return ReadStructured(structured);
        if (responseFormat is not { } format || format.ValueKind == JsonValueKind.Null)
            return (Text, null);
        if (format.ValueKind != JsonValueKind.Object || !format.TryGetProperty("type", out var type)
            || type.ValueKind != JsonValueKind.String)
        {
            return (null, "response_format must be an object with a 'type' of 'text', 'json_object' or 'json_schema'.");
        }

        switch (type.GetString())
        {
            case "text": return (Text, null);
            case "json_object": return (AnyObject, null);
            case "json_schema":
                if (!format.TryGetProperty("json_schema", out var named) || named.ValueKind != JsonValueKind.Object)
                    return (null, "response_format of type 'json_schema' needs a 'json_schema' object.");
                return named.TryGetProperty("schema", out var schema) && schema.ValueKind is not JsonValueKind.Null
                    ? (new OutputFormat(OutputKind.JsonSchema, schema), null)
                    : (AnyObject, null);
            case var other: return (null, $"response_format type '{other}' is not supported: use 'text', 'json_object' or 'json_schema'.");
        }
    }

    private static (OutputFormat? Format, string? Error) ReadStructured(JsonElement structured)
    {
        var given = structured.EnumerateObject().Where(item => item.Value.ValueKind != JsonValueKind.Null
            && item.Name is "json" or "regex" or "choice" or "grammar" or "json_object" or "structural_tag").ToArray();
        if (given.Length == 0)
            return (Text, null);
        if (given.Length > 1)
            return (null, "You can only use one kind of structured outputs constraint ('json', 'regex' or 'choice').");

        var value = given[0].Value;
        switch (given[0].Name)
        {
            case "json" when value.ValueKind == JsonValueKind.String:
                try
                {
                    using var document = JsonDocument.Parse(value.GetString()!);
                    return (new OutputFormat(OutputKind.JsonSchema, document.RootElement.Clone()), null);
                }
                catch (JsonException)
                {
                    return (null, "structured_outputs.json is not valid JSON.");
                }
            case "json": return (new OutputFormat(OutputKind.JsonSchema, value), null);
            case "json_object" when value.ValueKind == JsonValueKind.True: return (AnyObject, null);
            case "json_object": return (Text, null);
            case "regex" when value.ValueKind == JsonValueKind.String: return (new OutputFormat(OutputKind.Pattern,
                Pattern: value.GetString()), null);
            case "choice" when value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
                && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String):
                return (new OutputFormat(OutputKind.Choice, Choices: [.. value.EnumerateArray().Select(item => item.GetString()!)]), null);
            case "regex": return (null, "structured_outputs.regex must be a string.");
            case "choice": return (null, "structured_outputs.choice must be an array of strings with at least one.");
            case var other: return (null, $"structured_outputs.{other} is not simulated: use 'json', 'regex' or 'choice'.");
        }
    }
}
