using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>How an answer goes on: from its tokens, exactly, or from its text, which the server makes tokens of again.</summary>
internal enum ResumeMode
{
    Token,
    Text,
}

internal static class ResumeModes
{
    public static string Label(this ResumeMode mode) => mode == ResumeMode.Token ? "token" : "text";
}

/// <summary>The request that makes another vLLM go on with an answer.</summary>
internal sealed record ResumeRequest(ResumeMode Mode, InferenceOperation Operation, byte[] Body)
{
    private const int DefaultMaxTokens = 16; // of a text completion, in the API

    private static readonly JsonWriterOptions Writing = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };


    /// <summary>Null where the answer cannot go on: the text is all there is, and that is not enough.</summary>
    /// <param name="asked">The client's request.</param>
    /// <param name="operation">What it asked for.</param>
    /// <param name="target">The model as the server calls it.</param>
    /// <param name="maxModelLength">Prompt and answer together, where the server says it.</param>
    /// <param name="answer">What has gone out.</param>
    public static ResumeRequest? Build(
        JsonElement asked, InferenceOperation operation, ModelTarget target, int? maxModelLength, AnswerSoFar answer)
    {
        // The server holds text back that may begin a stop string: its tokens are ahead of what the client has.
        var byToken = answer.HasIds && !Has(asked, "stop") && IsTextOnly(asked);
        var limit = Left(asked, operation, answer) ?? (byToken ? maxModelLength - answer.PromptTokens - answer.Tokens : null);
        if (byToken && limit is not null)
        {
            return new ResumeRequest(ResumeMode.Token, InferenceOperation.Completion, Write(asked, target, answer, limit, json =>
            {
                json.WritePropertyName("prompt"u8);
                json.WriteRawValue([(byte)'[', .. answer.PromptIds, (byte)',', .. answer.Ids, (byte)']'], skipInputValidation: true);
                json.WriteBoolean("return_token_ids"u8, true);
            }));
        }

        if (operation == InferenceOperation.Completion)
        {
            return asked.GetProperty("prompt").ValueKind != JsonValueKind.String ? null
                : new ResumeRequest(ResumeMode.Text, operation, Write(asked, target, answer, limit, json =>
                {
                    json.WritePropertyName("prompt"u8);
                    var prompt = Encoding.UTF8.GetBytes(asked.GetProperty("prompt").GetRawText())[..^1];
                    json.WriteRawValue([.. prompt, .. answer.Text, (byte)'"'], true);
                }));
        }

        return new ResumeRequest(ResumeMode.Text, operation, Write(asked, target, answer, limit, json =>
        {
            json.WriteStartArray("messages"u8);
            foreach (var message in asked.GetProperty("messages").EnumerateArray())
                message.WriteTo(json);

            json.WriteRawValue([.. "{\"role\":\"assistant\",\"content\":\""u8, .. answer.Text, .. "\"}"u8], skipInputValidation: true);
            json.WriteEndArray();
            json.WriteBoolean("continue_final_message"u8, true);
            json.WriteBoolean("add_generation_prompt"u8, false);
        }));
    }

    /// <summary>How many tokens the client's limit leaves; null where it set none.</summary>
    public static int? Left(JsonElement asked, InferenceOperation operation, AnswerSoFar answer)
    {
        var limit = operation == InferenceOperation.Completion
            ? Number(asked, "max_tokens") ?? DefaultMaxTokens
            : Number(asked, "max_completion_tokens") ?? Number(asked, "max_tokens");
        return limit - answer.Tokens;
    }

    private static byte[] Write(JsonElement asked, ModelTarget target, AnswerSoFar answer, int? limit, Action<Utf8JsonWriter> prompt)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            json.WriteStartObject();
            json.WriteString("model"u8, target.Model);
            foreach (var property in asked.EnumerateObject().Where(p => IsCarried(p.Name)))
                property.WriteTo(json);

            prompt(json);
            if (limit is { } left)
                json.WriteNumber("max_tokens"u8, left);

            if (Number(asked, "min_tokens") is { } least)
                json.WriteNumber("min_tokens"u8, Math.Max(0, least - answer.Tokens));

            json.WriteBoolean("stream"u8, true);
            json.WriteStartObject("stream_options"u8);
            json.WriteBoolean("include_usage"u8, true);
            json.WriteBoolean("continuous_usage_stats"u8, true);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    /// <summary>What both of vLLM's completion endpoints understand in the same way; of the others only what makes the prompt matters, and
    /// that is in the tokens, or is in no way plain.</summary>
    private static bool IsCarried(string name) => name is not (
        "model" or "messages" or "prompt" or "max_tokens" or "max_completion_tokens" or "min_tokens"
        or "stream" or "stream_options" or "return_token_ids" or "add_generation_prompt" or "continue_final_message"
        or "request_id" or "risk_level" or "tools" or "tool_choice" or "functions" or "function_call" or "parallel_tool_calls"
        or "logprobs" or "top_logprobs" or "response_format");

    private static bool IsTextOnly(JsonElement asked) =>
        !asked.TryGetProperty("messages", out var messages) || messages.EnumerateArray().All(message =>
            !message.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.Array
            || content.EnumerateArray().All(part => part.ValueKind == JsonValueKind.String
                || (part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueEquals("text"u8))));

    private static bool Has(JsonElement asked, string name) => asked.TryGetProperty(name, out var value) && value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.String => !value.ValueEquals(""u8),
        _ => false,
    };

    private static int? Number(JsonElement asked, string name) =>
        asked.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : null;
}
