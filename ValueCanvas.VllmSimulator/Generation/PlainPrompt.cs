using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>
/// Answers a prompt that is plain text. A rendered chat prompt is answered as the chat would be; and a prompt that ends with the
/// beginning of its own answer, as a client resends it after a broken stream, gets the rest of that answer.
/// </summary>
internal static class PlainPrompt
{
    /// <summary>An answer to plain text starts a new paragraph, and so is found again in a longer prompt.</summary>
    private const string Paragraph = "\n\n";
    private const int MaxParagraphs = 64;

    public static Completion[] Answer(string text, OutputFormat format, Sampling sampling)
    {
        if (ChatTemplate.Parse(text) is { } chat)
            return Answerer.Answer(new Question(chat.Turns, chat.Answered, format), sampling);

        // A prompt of token ids brings the beginning that a text is given.
        text = ChatTemplate.WithoutBegin(text);
        var plain = format.Kind == OutputKind.Text;
        if (plain && sampling.Choices == 1)
        {
            var at = text.IndexOf(Paragraph, StringComparison.Ordinal);
            for (var tried = 0; at > 0 && tried < MaxParagraphs; tried++)
            {
                var question = Ask(text[..at], text[at..], format, plain);
                if (Answerer.IsBeginningOfAnswer(question, sampling))
                    return Answerer.Answer(question, sampling);
                at = text.IndexOf(Paragraph, at + 1, StringComparison.Ordinal);
            }
        }
        return Answerer.Answer(Ask(text, "", format, plain), sampling);
    }

    private static Question Ask(string prompt, string answered, OutputFormat format, bool plain) =>
        new([new ChatTurn("user", prompt)], answered, format) { Lead = plain ? Paragraph : "" };
}
