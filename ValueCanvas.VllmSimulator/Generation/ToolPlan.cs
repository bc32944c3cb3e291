using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation.Schemas;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>A function the model may call.</summary>
internal sealed record ToolFunction(string Name, string Description, JsonElement Parameters);

/// <summary>Which functions an answer calls, and with what arguments.</summary>
internal static class ToolPlan
{
    private static JsonElement NoParameters { get; } = JsonDocument.Parse("""{"type":"object","properties":{}}""").RootElement;

    /// <summary>The functions that the request is about, the best match first; those it names all, if it may call several at once.</summary>
    public static List<ToolFunction> Choose(IReadOnlyList<ToolFunction> tools, string text, bool parallel)
    {
        var named = tools.Where(tool => Words(tool.Name).All(word => text.Contains(word, StringComparison.OrdinalIgnoreCase))).ToList();
        if (named.Count > 0)
            return parallel ? named : named[..1];

        return [tools.MaxBy(tool => Words(tool.Name).Concat(Words(tool.Description)).Distinct().Count(word => word.Length > 3 && text.Contains(word, StringComparison.OrdinalIgnoreCase)))!];
    }

    public static Completion Write(IReadOnlyList<ToolFunction> calls, Subject subject, ulong variant, Sampling sampling)
    {
        var tokens = new List<int>();
        var ends = new List<int>();
        var opened = new List<ToolCall>();
        var text = "";
        for (var i = 0; i < calls.Count; i++)
        {
            opened.Add(new ToolCall($"chatcmpl-tool-{BlockHash.Mix(variant, (ulong)i + 7):x16}{BlockHash.Mix(variant, (ulong)i + 77):x16}", calls[i].Name, tokens.Count, text.Length));
            // As Llama writes it: the name first, then the arguments; only these go out as text.
            foreach (var token in Tokenizer.Encode($"{{\"name\": \"{calls[i].Name}\", \"parameters\": "))
            {
                tokens.Add(token);
                ends.Add(text.Length);
            }
            var schema = calls[i].Parameters.ValueKind == JsonValueKind.Object ? calls[i].Parameters : NoParameters;
            var arguments = SchemaWriter.Write(schema, subject, BlockHash.Mix(variant, (ulong)i));
            var (pieces, offsets) = Tokenizer.EncodeWithEnds(arguments);
            tokens.AddRange(pieces);
            ends.AddRange(offsets.Select(offset => text.Length + offset));
            text += arguments;
        }
        tokens.Add(Tokenizer.EndOfTurn);
        ends.Add(text.Length);

        if (tokens.Count <= sampling.MaxTokens)
            return new Completion(text, [.. tokens], [.. ends], FinishReason.Stop, null, opened);

        var count = sampling.MaxTokens;
        var kept = opened.Where(call => call.OpensAtToken < count).ToArray();
        return new Completion(text[..ends[count - 1]], [.. tokens[..count]], [.. ends[..count]], FinishReason.Length, null, kept);
    }

    private static string[] Words(string text) => text.Split(['_', '-', ' ', '.', ',', '(', ')'], StringSplitOptions.RemoveEmptyEntries);
}
