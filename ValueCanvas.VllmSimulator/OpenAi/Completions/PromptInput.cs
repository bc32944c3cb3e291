using System.Text.Json;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi.Completions;

/// <summary>One prompt or embedding input: its text and its tokens.</summary>
internal sealed record PromptInput(string Text, int[] Tokens)
{
    private const int MaxInputs = 2_048;

    /// <summary>Reads a string, an array of strings, an array of token ids, or an array of those.</summary>
    public static (PromptInput[]? Inputs, ApiError? Error) Read(JsonElement? value, string field, bool beginOfText)
    {
        var form = $"'{field}' must be a string, an array of strings, an array of token ids or an array of such arrays, and not empty.";
        if (value is not { } input)
            return (null, ApiError.BadRequest(form, field));
        if (input.ValueKind == JsonValueKind.String)
            return ([OfText(input.GetString()!, beginOfText)], null);
        if (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0)
            return (null, ApiError.BadRequest(form, field));
        if (input[0].ValueKind == JsonValueKind.Number)
            return OfTokens(input) is { } single ? ([single], null) : (null, ApiError.BadRequest(UnknownIds(field), field));
        if (input.GetArrayLength() > MaxInputs)
            return (null, ApiError.BadRequest($"'{field}' has more than {MaxInputs} entries.", field));

        var inputs = new List<PromptInput>();
        foreach (var item in input.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.String)
                inputs.Add(OfText(item.GetString()!, beginOfText));
            else if (item.ValueKind != JsonValueKind.Array || item.GetArrayLength() == 0)
                return (null, ApiError.BadRequest(form, field));
            else if (OfTokens(item) is { } tokens)
                inputs.Add(tokens);
            else
                return (null, ApiError.BadRequest(UnknownIds(field), field));
        }
        return ([.. inputs], null);
    }

    private static PromptInput OfText(string text, bool beginOfText)
    {
        // A rendered chat prompt brings its own beginning.
        var tokens = Tokenizer.Encode(text);
        return new PromptInput(text, beginOfText && (tokens.Length == 0 || tokens[0] != Tokenizer.BeginOfText) ? [Tokenizer.BeginOfText, .. tokens] : tokens);
    }

    private static PromptInput? OfTokens(JsonElement ids)
    {
        var tokens = new int[ids.GetArrayLength()];
        for (var i = 0; i < tokens.Length; i++)
        {
            if (ids[i].ValueKind != JsonValueKind.Number || !ids[i].TryGetInt32(out tokens[i]) || !Tokenizer.IsKnown(tokens[i]))
                return null;
        }
        return new PromptInput(Tokenizer.Decode(tokens), tokens);
    }

    private static string UnknownIds(string field) => $"'{field}' has token ids that are out of vocabulary: use ids that /tokenize gives.";
}
