using System.Text.Json;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>A chat's: the role first, then its texts in pieces, and tool calls as models stream them.</summary>
internal sealed class ChatEvents(JsonElement answer) : ReplayedEvents(answer, AnswerKind.Chat, "chat.completion.chunk")
{
    public override void Choice(JsonElement choice)
    {
        var message = choice.GetProperty("message");
        var logprobs = Logprobs(choice);
        Delta(choice, () => Opening(message));
        foreach (var member in message.EnumerateObject())
        {
            if (member.Name == "role" || member.Value.ValueKind == JsonValueKind.Null)
                continue;
            if (member.Name == "tool_calls" && member.Value.ValueKind == JsonValueKind.Array)
            {
                Calls(choice, member.Value);
            }
            else if (member.Value.ValueKind == JsonValueKind.String)
            {
                foreach (var piece in Pieces(member.Value.GetString()!))
                {
                    // With the text that they are about, all at once.
                    Delta(choice, () => Writer.WriteString(member.Name, piece), member.Name == "content" ? logprobs : null);
                    logprobs = member.Name == "content" ? null : logprobs;
                }
            }
            else
            {
                Delta(choice, () => member.WriteTo(Writer));
            }
        }

        Event(choice, "delta", choice, logprobs, () => { });
    }

    private void Opening(JsonElement message)
    {
        foreach (var member in message.EnumerateObject())
        {
            if (member.Name == "role" || member.Value.ValueKind == JsonValueKind.Null)
                member.WriteTo(Writer);
            else if (member.Value.ValueKind == JsonValueKind.String && member.Value.GetString()!.Length == 0)
                member.WriteTo(Writer);
        }
    }

    private void Calls(JsonElement choice, JsonElement calls)
    {
        var next = 0;
        foreach (var call in calls.EnumerateArray())
        {
            var index = next++;
            Call(choice, index, () => Begin(call));
            foreach (var piece in Pieces(ArgumentsOf(call)))
            {
                Call(choice, index, () =>
                {
                    Writer.WriteStartObject("function");
                    Writer.WriteString("arguments", piece);
                    Writer.WriteEndObject();
                });
            }
        }
    }

    private void Call(JsonElement choice, int index, Action write) => Delta(choice, () =>
    {
        Writer.WriteStartArray("tool_calls");
        Writer.WriteStartObject();
        Writer.WriteNumber("index", index);
        write();
        Writer.WriteEndObject();
        Writer.WriteEndArray();
    });

    // All of a call but its arguments, which follow.
    private void Begin(JsonElement call)
    {
        foreach (var member in call.EnumerateObject())
        {
            if (member.Name == "function" && member.Value.ValueKind == JsonValueKind.Object)
                BeginFunction(member.Value);
            else if (member.Name != "index")
                member.WriteTo(Writer);
        }
    }

    private void BeginFunction(JsonElement function)
    {
        Writer.WriteStartObject("function");
        foreach (var part in function.EnumerateObject())
        {
            if (part.Name == "arguments" && part.Value.ValueKind == JsonValueKind.String)
                Writer.WriteString("arguments", "");
            else
                part.WriteTo(Writer);
        }

        Writer.WriteEndObject();
    }

    private static string ArgumentsOf(JsonElement call) =>
        call.TryGetProperty("function", out var function) && function.ValueKind == JsonValueKind.Object
        && function.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.String
            ? arguments.GetString()!
            : "";

    private void Delta(JsonElement choice, Action write, JsonElement? logprobs = null) =>
        Event(choice, "delta", default, logprobs, write);
}
