using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi;

/// <summary>One request's answers on their way through the engine: what is to come, and the sequence that says how much of it is
/// out.</summary>
internal sealed record Reply(string Id, long Created, string Model, int[][] Prompts, Completion[] Completions, Sequence[] Sequences,
    Sampling Sampling)
{
    public int PromptTokens { get; } = Prompts.Sum(prompt => prompt.Length);

    public int CompletionTokens { get; } = Completions.Sum(completion => completion.Tokens.Length);

    /// <summary>Prompt tokens that the prefix cache held when the first choice of each prompt was scheduled.</summary>
    public int CachedTokens
    {
        get
        {
            var cached = 0;
            for (var i = 0; i < Sequences.Length; i += Sampling.Choices)
                cached += Math.Max(0, Sequences[i].Cached);
            return cached;
        }
    }

    public int[] PromptOf(int choice) => Prompts[choice / Sampling.Choices];

    public bool ReturnTokenIds { get; init; }

    public bool TellsCachedTokens { get; init; }

    public void WriteHead(Utf8JsonWriter json, string kind)
    {
        json.WriteString("id", Id);
        json.WriteString("object", kind);
        json.WriteNumber("created", Created);
        json.WriteString("model", Model);
    }

    /// <param name="json">The writer.</param>
    /// <param name="prompt">Tokens of the prompts that are meant.</param>
    /// <param name="completion">Tokens out so far.</param>
    public static void WriteUsage(Utf8JsonWriter json, int prompt, int completion)
    {
        json.WriteStartObject("usage");
        WriteTokens(json, prompt, completion);
        json.WriteEndObject();
    }

    /// <summary>The bill, with the cached tokens where there are any; without them null, or nothing in a stream's last chunk.</summary>
    public void WriteBill(Utf8JsonWriter json, bool nulls)
    {
        json.WriteStartObject("usage");
        WriteTokens(json, PromptTokens, CompletionTokens);
        if (TellsCachedTokens && CachedTokens > 0)
        {
            json.WriteStartObject("prompt_tokens_details");
            json.WriteNumber("cached_tokens", CachedTokens);
            json.WriteEndObject();
        }
        else if (nulls)
        {
            json.WriteNull("prompt_tokens_details");
        }
        json.WriteEndObject();
    }

    /// <summary>The stop string, the id of the stop token, or null where neither ended the answer.</summary>
    public static void WriteStopReason(Utf8JsonWriter json, Completion completion)
    {
        if (completion.StopToken is { } token)
            json.WriteNumber("stop_reason", token);
        else
            json.WriteString("stop_reason", completion.StopString);
    }

    public static void WriteIdsOrNull(Utf8JsonWriter json, string name, ReadOnlySpan<int> ids, bool wanted)
    {
        if (wanted)
            WriteIds(json, name, ids);
        else
            json.WriteNull(name);
    }

    private static void WriteTokens(Utf8JsonWriter json, int prompt, int completion)
    {
        json.WriteNumber("prompt_tokens", prompt);
        json.WriteNumber("total_tokens", prompt + completion);
        json.WriteNumber("completion_tokens", completion);
    }

    public static void WriteIds(Utf8JsonWriter json, string name, ReadOnlySpan<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids)
            json.WriteNumberValue(id);
        json.WriteEndArray();
    }
}

/// <summary>Made-up log probabilities, plausible and always the same for the same token at the same place.</summary>
internal static class Logprobs
{
    private static readonly int[] Alternatives =
        Tokenizer.Encode(" the and to of in for with that is on as this by from at it or an are be");

    public static double Of(int token, int position) => BlockHash.Mix((ulong)token, (ulong)position) % 1_000 / -1_000.0;

    /// <summary>The token and the next likely ones, most likely first.</summary>
    public static IEnumerable<(string Text, double Logprob)> Top(int token, int position, int count)
    {
        var logprob = Of(token, position);
        yield return (Tokenizer.Decode(token), logprob);
        var start = (int)(BlockHash.Mix((ulong)token, 3) % (ulong)Alternatives.Length);
        for (int i = 0, given = 1; given < count && i < Alternatives.Length; i++)
        {
            var other = Alternatives[(start + i) % Alternatives.Length];
            if (other == token)
                continue;
            given++;
            yield return (Tokenizer.Decode(other), logprob - 1 - given * 0.5);
        }
    }
}
