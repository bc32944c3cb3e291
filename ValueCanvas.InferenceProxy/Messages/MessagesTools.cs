using System.Text.Json;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>The tools of a Messages request, and which of them to call, as a chat has them.</summary>
internal static class MessagesTools
{
    /// <summary>Writes the tools that the client itself runs. The result: what only Anthropic could have run, if anything.</summary>
    public static string? Write(Utf8JsonWriter json, JsonElement request)
    {
        var tools = Get(request, "tools", JsonValueKind.Array)?.EnumerateArray().ToArray() ?? [];
        var own = tools.Where(tool => Text(tool, "type") is null or "custom").ToArray();
        if (own.Length > 0)
        {
            json.WriteStartArray("tools"u8);
            foreach (var tool in own)
                WriteTool(json, tool);

            json.WriteEndArray();
            if (Get(request, "tool_choice", JsonValueKind.Object) is { } choice)
                WriteChoice(json, choice);
        }

        return own.Length < tools.Length ? "Among 'tools' is one of Anthropic's own; those with an 'input_schema' work everywhere." : null;
    }

    private static void WriteTool(Utf8JsonWriter json, JsonElement tool)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, "function"u8);
        json.WriteStartObject("function"u8);
        json.WriteString("name"u8, Text(tool, "name") ?? throw Wrong("Each of 'tools' must have a name.", "tools"));
        if (Text(tool, "description") is { } description)
            json.WriteString("description"u8, description);

        json.WritePropertyName("parameters"u8);
        var schema = Get(tool, "input_schema", JsonValueKind.Object) ?? throw Wrong("Each of 'tools' must have an input_schema.", "tools");
        schema.WriteTo(json);
        if (Get(tool, "strict", JsonValueKind.True) is not null)
            json.WriteBoolean("strict"u8, true);

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteChoice(Utf8JsonWriter json, JsonElement choice)
    {
        switch (Text(choice, "type"))
        {
            case "tool":
                json.WriteStartObject("tool_choice"u8);
                json.WriteString("type"u8, "function"u8);
                json.WriteStartObject("function"u8);
                json.WriteString("name"u8, Text(choice, "name")
                    ?? throw Wrong("A 'tool_choice' of type 'tool' must have a name.", "tool_choice"));
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            case "any":
                json.WriteString("tool_choice"u8, "required"u8);
                break;
            case "auto" or "none":
                json.WriteString("tool_choice"u8, Text(choice, "type"));
                break;
            default:
                throw Wrong("The field 'tool_choice' must have the type auto, any, tool or none.", "tool_choice");
        }

        if (Get(choice, "disable_parallel_tool_use", JsonValueKind.True) is not null)
            json.WriteBoolean("parallel_tool_calls"u8, false);
    }
}
