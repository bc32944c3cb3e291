using System.Text;
using ValueCanvas.ProxyBench.Upstream;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>Request bodies of a given size in bytes: a system message and one of a user, as clients write them.</summary>
internal static class Prompts
{
    private static readonly string[] Words =
        ("customers bread waste evening baker shop price margin morning flour supplier delivery oven season cost rent staff "
        + "loyal neighbour online order subscription lunch office school market stall quality organic local brand partner revenue channel "
        + "value offer problem")
        .Split(' ');

    public static byte[] Chat(int bytes, bool stream)
    {
        var head = $$"""{"model":"{{Answers.Model}}",{{(stream ? "\"stream\":true," : "")}}"messages":["""
            + """{"role":"system","content":"You are an analyst of business models. Answer in plain words."},{"role":"user","content":" """;
        const string Tail = "\"}],\"temperature\":0.2,\"max_tokens\":256}";
        var text = new StringBuilder(head.TrimEnd());
        text.Append(Prose(new Random(bytes), bytes - text.Length - Tail.Length)).Append(Tail);
        return Encoding.ASCII.GetBytes(text.ToString());
    }

    /// <summary>This many characters of words, sentences and (JSON-escaped) paragraphs; different for each state of the
    /// generator.</summary>
    public static string Prose(Random random, int characters)
    {
        var text = new StringBuilder(characters + 32);
        while (text.Length < characters)
        {
            text.Append(Words[random.Next(Words.Length)]).Append(random.Next(12) switch { 0 => ". ", 1 when random.Next(8) == 0 => ".\\n",
                _ => " " });
        }

        text.Length = Math.Max(characters, 0);
        if (text.Length > 0 && text[^1] == '\\')
            text[^1] = '.';

        return text.ToString();
    }
}
