using System.Text;

namespace ValueCanvas.VllmSimulator.Tokenization;

/// <summary>One message as the model sees it.</summary>
internal readonly record struct ChatTurn(string Role, string Text);

/// <summary>Llama 3.1's chat template, both ways: messages to prompt text, and a rendered prompt back to its messages.</summary>
internal static class ChatTemplate
{
    private const string Begin = "<|begin_of_text|>";
    private const string HeaderStart = "<|start_header_id|>";
    private const string HeaderEnd = "<|end_header_id|>\n\n";
    private const string End = "<|eot_id|>";

    /// <param name="turns">The messages, oldest first.</param>
    /// <param name="generationPrompt">Opens an assistant turn at the end.</param>
    /// <param name="continueFinal">Leaves the last turn open so that the model goes on in it.</param>
    public static string Render(IReadOnlyList<ChatTurn> turns, bool generationPrompt, bool continueFinal)
    {
        var length = 64;
        foreach (var turn in turns)
            length += turn.Text.Length + 64;

        var text = new StringBuilder(Begin, length);
        for (var i = 0; i < turns.Count; i++)
        {
            text.Append(HeaderStart).Append(turns[i].Role).Append(HeaderEnd).Append(turns[i].Text);
            if (!continueFinal || i < turns.Count - 1)
                text.Append(End);
        }
        if (generationPrompt)
            text.Append(HeaderStart).Append("assistant").Append(HeaderEnd);
        return text.ToString();
    }

    public static string WithoutBegin(string prompt) => prompt.StartsWith(Begin, StringComparison.Ordinal) ? prompt[Begin.Length..]
        : prompt;

    /// <summary>
    /// Reads a rendered prompt, as a client resends it with the tokens already received, back into messages and the part of the
    /// answer that is already there. Null when the text is not of the template's form.
    /// </summary>
    public static (List<ChatTurn> Turns, string Answered)? Parse(string prompt)
    {
        if (!prompt.StartsWith(Begin + HeaderStart, StringComparison.Ordinal))
            return null;

        var turns = new List<ChatTurn>();
        var rest = prompt.AsSpan(Begin.Length);
        while (rest.StartsWith(HeaderStart))
        {
            rest = rest[HeaderStart.Length..];
            var header = rest.IndexOf(HeaderEnd, StringComparison.Ordinal);
            if (header < 0)
                return null;

            var role = rest[..header].ToString();
            rest = rest[(header + HeaderEnd.Length)..];
            var end = rest.IndexOf(End, StringComparison.Ordinal);
            if (end < 0)
                return role == "assistant" ? (turns, rest.ToString()) : null;

            turns.Add(new ChatTurn(role, rest[..end].ToString()));
            rest = rest[(end + End.Length)..];
        }
        return null;
    }
}
