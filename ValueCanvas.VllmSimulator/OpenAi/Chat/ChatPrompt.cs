using System.Text;
using System.Text.Json;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Generation;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi.Chat;

/// <summary>A chat request as the model gets it: the turns of the template, the open answer, and the question that they put.</summary>
internal sealed record ChatPrompt(string Text, Question Question)
{
    public static (ChatPrompt? Prompt, ApiError? Error) Read(ChatRequest request)
    {
        if (request.Messages is not { Count: > 0 })
            return (null, ApiError.BadRequest("'messages' is required and must hold at least one message.", "messages"));

        var continued = request.ContinueFinalMessage == true;
        var generation = request.AddGenerationPrompt ?? true;
        if (continued && generation)
        {
            return (null, ApiError.BadRequest("Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
                "continue_final_message"));
        }

        var (tools, toolError) = ReadTools(request);
        if (toolError is not null)
            return (null, toolError);
        var (format, formatError) = OutputFormat.Read(request.ResponseFormat, request.StructuredOutputs);
        if (format is null)
            return (null, ApiError.BadRequest(formatError!, "response_format"));

        var turns = new List<ChatTurn>(request.Messages.Count + 1);
        for (var i = 0; i < request.Messages.Count; i++)
        {
            var (turn, error) = ReadMessage(request.Messages[i], i);
            if (error is not null)
                return (null, error);
            turns.Add(turn);
        }
        var choice = request.ToolChoice is { ValueKind: JsonValueKind.String } word ? word.GetString() : null;
        if (tools.Count > 0 && choice != "none")
            turns.Insert(0, new ChatTurn("system", Describe(tools)));

        var text = ChatTemplate.Render(turns, generation, continued);
        var answered = "";
        if (continued)
        {
            answered = turns[^1].Role == "assistant" ? turns[^1].Text : "";
            if (turns[^1].Role == "assistant")
                turns.RemoveAt(turns.Count - 1);
        }
        return (new ChatPrompt(text, new Question(turns, answered, format)
        {
            Tools = choice == "none" ? [] : tools,
            NamedTool = request.ToolChoice is { ValueKind: JsonValueKind.Object } named
                ? named.GetProperty("function").GetProperty("name").GetString() : null,
            ToolRequired = choice == "required",
            ParallelTools = request.ParallelToolCalls ?? true,
        }), null);
    }

    private static (ChatTurn Turn, ApiError? Error) ReadMessage(ChatMessage message, int index)
    {
        if (string.IsNullOrWhiteSpace(message.Role) || message.Role.Length > 64)
        {
            return (default, ApiError.BadRequest(
                $"messages[{index}].role is required: 'system', 'developer', 'user', 'assistant' or 'tool'.", "messages"));
        }

        var calls = message.ToolCalls is { ValueKind: JsonValueKind.Array } list ? list.GetRawText() : "";
        switch (message.Content?.ValueKind)
        {
            case null or JsonValueKind.Null when calls.Length > 0 || message.Role == "assistant":
                return (new ChatTurn(message.Role, calls), null);
            case JsonValueKind.String:
                return (new ChatTurn(message.Role, message.Content.Value.GetString() + calls), null);
            case JsonValueKind.Array:
                var text = new StringBuilder();
                foreach (var part in message.Content.Value.EnumerateArray())
                {
                    var content = part.ValueKind == JsonValueKind.String ? part.GetString() : TextOf(part);
                    if (content is null)
                    {
                        return (default, ApiError.BadRequest(
                            $"messages[{index}].content has a part that is not text: this model takes text only.", "messages"));
                    }

                    if (text.Length > 0)
                        text.Append('\n');
                    text.Append(content);
                }
                return (new ChatTurn(message.Role, text.Append(calls).ToString()), null);
            default:
                return (default, ApiError.BadRequest($"messages[{index}].content must be a string or an array of text parts.", "messages"));
        }
    }

    private static string? TextOf(JsonElement part) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String
            ? text.GetString() : null;

    private static (List<ToolFunction> Tools, ApiError? Error) ReadTools(ChatRequest request)
    {
        var tools = new List<ToolFunction>();
        foreach (var tool in request.Tools ?? [])
        {
            if (tool.Function?.Name is not { Length: > 0 } name)
                return (tools, ApiError.BadRequest($"tools[{tools.Count}].function.name is required.", "tools"));
            tools.Add(new ToolFunction(name, tool.Function.Description ?? "", tool.Function.Parameters ?? default));
        }

        switch (request.ToolChoice?.ValueKind)
        {
            case null or JsonValueKind.Null: return (tools, null);
            case JsonValueKind.String when request.ToolChoice.Value.GetString() is "none": return (tools, null);
            case JsonValueKind.String when request.ToolChoice.Value.GetString() is "auto" or "required":
                return (tools, tools.Count > 0 ? null
                    : ApiError.BadRequest("When using `tool_choice`, `tools` must be set.", "tool_choice"));
            case JsonValueKind.Object when request.ToolChoice.Value.TryGetProperty("function", out var function)
                && function.ValueKind == JsonValueKind.Object && function.TryGetProperty("name", out var name)
                    && name.ValueKind == JsonValueKind.String:
                return (tools, tools.Exists(tool => tool.Name == name.GetString())
                    ? null
                    : ApiError.BadRequest("The tool specified in `tool_choice` does not match any of the specified `tools`",
                        "tool_choice"));
            default:
                return (tools, ApiError.BadRequest("`tool_choice` must be 'none', 'auto', 'required' or a named function of `tools`.",
                    "tool_choice"));
        }
    }

    private static string Describe(List<ToolFunction> tools)
    {
        var text = new StringBuilder("Given the following functions, respond with a JSON for a function call with its proper arguments.\n");
        foreach (var tool in tools)
        {
            text.Append("\n{\"name\": \"").Append(tool.Name).Append("\", \"description\": \"").Append(tool.Description)
                .Append("\", \"parameters\": ")
                .Append(tool.Parameters.ValueKind == JsonValueKind.Object ? tool.Parameters.GetRawText() : "{}").Append('}');
        }
        return text.ToString();
    }
}
