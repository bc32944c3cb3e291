using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>The events of a stream as vLLM writes them, for chats and for text completions.</summary>
internal sealed record VllmEvents(bool Chat)
{
    public const string Done = "data: [DONE]\n\n";

    private string Head => Chat
        ? """{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"small-model","""
        : """{"id":"cmpl-2","object":"text_completion","created":8,"model":"small-model",""";

    /// <summary>Of the path that a request came to.</summary>
    public static VllmEvents Of(HttpContext context) => new(context.Request.Path == "/v1/chat/completions");

    /// <summary>What the server received.</summary>
    public static JsonElement Asked(HttpContext context) => JsonDocument.Parse((byte[])context.Items[FakeReplica.BodyItem]!).RootElement;

    /// <summary>The chunk with nothing but the role; the prompt's ids come with it.</summary>
    public string Role(int[]? prompt = null, string? usage = null) =>
        Event(
            $$"""{{Ids("prompt_token_ids", prompt)}}"choices":[{"index":0,"delta":{"role":"assistant","content":""}"""
            + $$""","finish_reason":null}]""",
            usage);

    public string Text(string text, int[]? ids = null, string? finish = null, string? usage = null)
    {
        var said = Chat ? $"\"delta\":{{\"content\":\"{text}\"}}" : $"\"text\":\"{text}\"";
        var reason = finish is null ? "null" : $"\"{finish}\"";
        // A text completion tells the prompt's ids with its first token.
        var prompt = Chat || ids is null ? "" : Ids("prompt_token_ids", [7, 8, 9]);
        var told = ids is null ? "" : $",\"token_ids\":[{string.Join(',', ids)}]";
        return Event($$"""{{prompt}}"choices":[{"index":0,{{said}},"finish_reason":{{reason}}{{told}}}]""", usage);
    }

    public string Bill(int prompt, int completion) => Event("\"choices\":[]", Usage(prompt, completion));

    public static string Usage(int prompt, int completion) =>
        $"{{\"prompt_tokens\":{prompt},\"total_tokens\":{prompt + completion},\"completion_tokens\":{completion}}}";

    /// <summary>
    /// Sends the events; a stream that breaks announces a byte more than it sends, so that the break is seen behind its last one.
    /// </summary>
    public static async Task SendAsync(HttpContext context, string events, bool breaks = false)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.ContentLength = System.Text.Encoding.UTF8.GetByteCount(events) + (breaks ? 1 : 0);
        await context.Response.WriteAsync(events, context.RequestAborted);
    }

    private static string Ids(string name, int[]? ids) => ids is null ? "" : $"\"{name}\":[{string.Join(',', ids)}],";

    private string Event(string rest, string? usage) => $"data: {Head}{rest}{(usage is null ? "" : $",\"usage\":{usage}")}}}\n\n";
}
