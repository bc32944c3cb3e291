using System.Runtime.InteropServices;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>Ends an answer where the request says: at a stop string or token, at the length limit, or at the end-of-turn token.</summary>
internal static class CompletionCutter
{
    public static Completion Cut(string text, Sampling sampling)
    {
        var (tokens, ends) = Tokenizer.EncodeWithEnds(text);
        if (FindStop(text, tokens, ends, sampling) is { } stop && stop.Tokens <= sampling.MaxTokens)
        {
            Truncate(tokens, ends, stop.Tokens);
            for (var i = 0; i < ends.Count; i++)
                ends[i] = Math.Min(ends[i], stop.Kept);
            return new Completion(text[..stop.Kept], [.. tokens], [.. ends], FinishReason.Stop, stop.Text, [])
            {
                StopToken = stop.Text is null ? tokens[^1] : null,
            };
        }

        if (tokens.Count + 1 > sampling.MaxTokens || sampling.IgnoreEos)
        {
            Truncate(tokens, ends, Math.Min(tokens.Count, sampling.MaxTokens));
            return new Completion(ends.Count == 0 ? "" : text[..ends[^1]], [.. tokens], [.. ends], FinishReason.Length, null, []);
        }

        tokens.Add(Tokenizer.EndOfTurn);
        ends.Add(text.Length);
        return new Completion(text, [.. tokens], [.. ends], FinishReason.Stop, null, []);
    }

    private static void Truncate(List<int> tokens, List<int> ends, int count)
    {
        CollectionsMarshal.SetCount(tokens, count);
        CollectionsMarshal.SetCount(ends, count);
    }

    // Counts only what comes after min_tokens; the stop that is complete first wins.
    private static (int Tokens, int Kept, string? Text)? FindStop(string text, List<int> tokens, List<int> ends, Sampling sampling)
    {
        (int Tokens, int Kept, string? Text)? first = null;
        var skipped = Math.Min(sampling.MinTokens, tokens.Count);
        foreach (var stop in sampling.Stop)
        {
            var from = skipped == 0 ? 0 : Math.Max(0, ends[skipped - 1] - stop.Length + 1);
            var at = text.IndexOf(stop, from, StringComparison.Ordinal);
            if (at < 0)
                continue;

            var index = ends.BinarySearch(at + stop.Length);
            var count = (index < 0 ? ~index : index) + 1;
            if (first is null || count < first.Value.Tokens || (count == first.Value.Tokens && at < first.Value.Kept))
                first = (count, sampling.IncludeStop ? at + stop.Length : at, stop);
        }
        for (var i = skipped; sampling.StopTokenIds.Count > 0 && i < tokens.Count && (first is null || i + 1 < first.Value.Tokens); i++)
        {
            if (sampling.StopTokenIds.Contains(tokens[i]))
                return (i + 1, i == 0 ? 0 : ends[i - 1], null);
        }
        return first;
    }
}
