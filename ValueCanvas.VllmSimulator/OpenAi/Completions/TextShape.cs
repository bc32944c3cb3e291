using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi.Completions;

/// <summary>Text completions and their chunks, field by field as vLLM writes them.</summary>
internal sealed class TextShape(string[] echoed) : IReplyShape
{
    public bool HasOpening => false;

    public bool HasText(Reply reply, int choice, int token) => true;

    public void WriteOpening(Utf8JsonWriter json, Reply reply, int choice, bool usage)
    {
    }

    public void WriteWhole(Utf8JsonWriter json, Reply reply)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "text_completion");
        json.WriteStartArray("choices");
        for (var i = 0; i < reply.Completions.Length; i++)
            WriteChoice(json, reply, i, 0, reply.Completions[i].Tokens.Length, EchoOf(reply, i) + reply.Completions[i].Text, whole: true);
        json.WriteEndArray();
        json.WriteNull("service_tier");
        json.WriteNull("system_fingerprint");
        reply.WriteBill(json, nulls: true);
        json.WriteNull("kv_transfer_params");
        json.WriteEndObject();
    }

    public void WriteToken(Utf8JsonWriter json, Reply reply, int choice, int token, int? completionTokens)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "text_completion");
        json.WriteStartArray("choices");
        var delta = reply.Completions[choice].Delta(token).ToString();
        WriteChoice(json, reply, choice, token, token + 1, token == 0 ? EchoOf(reply, choice) + delta : delta, whole: false);
        json.WriteEndArray();
        // Unlike a chat's chunk, this one has its nulls.
        if (completionTokens is { } soFar)
            Reply.WriteUsage(json, reply.PromptOf(choice).Length, soFar);
        else
            json.WriteNull("usage");
        json.WriteEndObject();
    }

    public void WriteFinalUsage(Utf8JsonWriter json, Reply reply)
    {
        json.WriteStartObject();
        reply.WriteHead(json, "text_completion");
        json.WriteStartArray("choices");
        json.WriteEndArray();
        reply.WriteBill(json, nulls: false);
        json.WriteEndObject();
    }

    private string EchoOf(Reply reply, int choice) => echoed.Length == 0 ? "" : echoed[choice / reply.Sampling.Choices];

    private static void WriteChoice(Utf8JsonWriter json, Reply reply, int choice, int from, int to, string text, bool whole)
    {
        var completion = reply.Completions[choice];
        var last = to == completion.Tokens.Length;
        json.WriteStartObject();
        json.WriteNumber("index", choice);
        json.WriteString("text", text);
        if (reply.Sampling.Logprobs is { } top)
            WriteLogprobs(json, reply, choice, from, to, top);
        else
            json.WriteNull("logprobs");
        json.WriteString("finish_reason", last ? completion.FinishName : null);
        if (last)
            Reply.WriteStopReason(json, completion);
        else
            json.WriteNull("stop_reason");
        Reply.WriteIdsOrNull(json, "token_ids", completion.Tokens.AsSpan(from, to - from), reply.ReturnTokenIds);
        Reply.WriteIdsOrNull(json, "prompt_token_ids", reply.PromptOf(choice), reply.ReturnTokenIds && from == 0);
        if (whole)
            json.WriteNull("prompt_logprobs");
        json.WriteEndObject();
    }

    private static void WriteLogprobs(Utf8JsonWriter json, Reply reply, int choice, int from, int to, int top)
    {
        var completion = reply.Completions[choice];
        if (to == completion.Tokens.Length && completion.Finish == FinishReason.Stop && completion.Tokens[^1] == Tokenizer.EndOfTurn)
            to--;
        json.WriteStartObject("logprobs");
        json.WriteStartArray("text_offset");
        for (var i = from; i < to; i++)
            json.WriteNumberValue(i == 0 ? 0 : completion.Ends[i - 1]);
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        for (var i = from; i < to; i++)
            json.WriteNumberValue(Logprobs.Of(completion.Tokens[i], i));
        json.WriteEndArray();
        json.WriteStartArray("tokens");
        for (var i = from; i < to; i++)
            json.WriteStringValue(Tokenizer.Decode(completion.Tokens[i]));
        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        for (var i = from; i < to; i++)
        {
            json.WriteStartObject();
            foreach (var (text, logprob) in Logprobs.Top(completion.Tokens[i], i, Math.Max(1, top)))
                json.WriteNumber(text, logprob);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
