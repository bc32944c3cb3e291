using System.Text;
using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi.Chat;

/// <summary>Chat completions and their chunks, field by field as vLLM writes them.</summary>
internal sealed class ChatShape(string echoed) : IReplyShape
{
    public void WriteWhole(Utf8JsonWriter json, Reply reply)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "chat.completion");
        json.WriteStartArray("choices");
        for (var i = 0; i < reply.Completions.Length; i++)
            WriteChoice(json, reply, i);
        json.WriteEndArray();
        json.WriteNull("service_tier");
        json.WriteNull("system_fingerprint");
        reply.WriteBill(json, nulls: true);
        json.WriteNull("prompt_logprobs");
        Reply.WriteIdsOrNull(json, "prompt_token_ids", reply.Prompts[0], reply.ReturnTokenIds);
        json.WriteNull("kv_transfer_params");
        json.WriteEndObject();
    }

    /// <summary>The first chunk of a choice, which carries the role.</summary>
    public void WriteOpening(Utf8JsonWriter json, Reply reply, int choice, bool usage)
    {
        StartChunk(json, reply, choice);
        json.WriteStartObject("delta");
        json.WriteString("role", "assistant");
        json.WriteString("content", echoed);
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteNull("finish_reason");
        EndChoices(json);
        if (usage)
            Reply.WriteUsage(json, reply.PromptTokens, 0);
        Reply.WriteIdsOrNull(json, "prompt_token_ids", reply.Prompts[0], reply.ReturnTokenIds);
        json.WriteEndObject();
    }

    public bool HasOpening => true;

    public bool HasText(Reply reply, int choice, int token)
    {
        var completion = reply.Completions[choice];
        var call = completion.CallAt(token);
        return call < 0 || token == completion.Tokens.Length - 1 || completion.ToolCalls[call].OpensAtToken == token
            || !completion.Delta(token).IsEmpty;
    }

    public void WriteToken(Utf8JsonWriter json, Reply reply, int choice, int token, int? completionTokens)
    {
        var completion = reply.Completions[choice];
        var last = token == completion.Tokens.Length - 1;
        var call = completion.CallAt(token);
        var opens = call >= 0 && completion.ToolCalls[call].OpensAtToken == token;
        var delta = completion.Delta(token);
        StartChunk(json, reply, choice);
        json.WriteStartObject("delta");
        if (call < 0)
            json.WriteString("content", delta);
        else if (opens || !delta.IsEmpty)
            WriteCallDelta(json, completion.ToolCalls[call], call, opens, delta);
        json.WriteEndObject();
        if (reply.Sampling.Logprobs is { } top)
            WriteLogprobs(json, completion, token, token + 1, top);
        else
            json.WriteNull("logprobs");
        if (last)
        {
            json.WriteString("finish_reason", completion.FinishName);
            Reply.WriteStopReason(json, completion);
        }
        else
        {
            json.WriteNull("finish_reason");
        }
        Reply.WriteIdsOrNull(json, "token_ids", completion.Tokens.AsSpan(token, 1), reply.ReturnTokenIds);
        EndChoices(json);
        if (completionTokens is { } soFar)
            Reply.WriteUsage(json, reply.PromptTokens, soFar);
        json.WriteEndObject();
    }

    public void WriteFinalUsage(Utf8JsonWriter json, Reply reply)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "chat.completion.chunk");
        json.WriteStartArray("choices");
        json.WriteEndArray();
        reply.WriteBill(json, nulls: false);
        json.WriteEndObject();
    }

    private void WriteChoice(Utf8JsonWriter json, Reply reply, int index)
    {
        var completion = reply.Completions[index];
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        if (completion.ToolCalls.Count > 0)
            json.WriteNull("content");
        else
            json.WriteString("content", echoed + completion.Text);
        json.WriteNull("refusal");
        json.WriteNull("annotations");
        json.WriteNull("audio");
        json.WriteNull("function_call");
        json.WriteStartArray("tool_calls");
        for (var call = 0; call < completion.ToolCalls.Count; call++)
        {
            json.WriteStartObject();
            json.WriteString("id", completion.ToolCalls[call].Id);
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", completion.ToolCalls[call].Name);
            json.WriteString("arguments", completion.ArgumentsOf(call));
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteNull("reasoning");
        json.WriteEndObject();
        if (reply.Sampling.Logprobs is { } top)
            WriteLogprobs(json, completion, 0, completion.Tokens.Length, top);
        else
            json.WriteNull("logprobs");
        json.WriteString("finish_reason", completion.FinishName);
        Reply.WriteStopReason(json, completion);
        Reply.WriteIdsOrNull(json, "token_ids", completion.Tokens, reply.ReturnTokenIds);
        json.WriteEndObject();
    }

    private static void StartChunk(Utf8JsonWriter json, Reply reply, int choice)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "chat.completion.chunk");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", choice);
    }

    private static void EndChoices(Utf8JsonWriter json)
    {
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteCallDelta(Utf8JsonWriter json, ToolCall call, int index, bool opens, ReadOnlySpan<char> arguments)
    {
        json.WriteStartArray("tool_calls");
        json.WriteStartObject();
        if (opens)
        {
            json.WriteString("id", call.Id);
            json.WriteString("type", "function");
        }
        json.WriteNumber("index", index);
        json.WriteStartObject("function");
        if (opens)
            json.WriteString("name", call.Name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteLogprobs(Utf8JsonWriter json, Completion completion, int from, int to, int top)
    {
        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        for (var i = from; i < to; i++)
        {
            var token = completion.Tokens[i];
            if (token == Tokenizer.EndOfTurn && completion.Finish == FinishReason.Stop && i == completion.Tokens.Length - 1)
                continue;
            json.WriteStartObject();
            WriteToken(json, Tokenizer.Decode(token), Logprobs.Of(token, i));
            json.WriteStartArray("top_logprobs");
            foreach (var (text, logprob) in top == 0 ? [] : Logprobs.Top(token, i, top))
            {
                json.WriteStartObject();
                WriteToken(json, text, logprob);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, string text, double logprob)
    {
        json.WriteString("token", text);
        json.WriteNumber("logprob", logprob);
        json.WriteStartArray("bytes");
        foreach (var part in Encoding.UTF8.GetBytes(text))
            json.WriteNumberValue(part);
        json.WriteEndArray();
    }
}
