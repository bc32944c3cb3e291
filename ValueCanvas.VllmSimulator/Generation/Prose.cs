using System.Text;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>
/// Readable sentences about a subject, as many as are asked for: sentence k depends on the subject, the variant and k alone, so that
/// an answer cut anywhere can be continued with exactly the rest of itself.
/// </summary>
internal sealed class Prose(KeyPhrases phrases, ulong variant)
{
    private static readonly string[] Openings =
    [
        "Here is how I would look at {0}.", "In short, {0} comes down to a few things that matter in practice.",
        "The question about {0} is best answered step by step.", "Let me start with what is known about {0}.",
        "There are several sides to {0}, and they are worth taking one at a time.", "A useful way to think about {0} is to ask what it changes for the people involved.",
    ];

    private static readonly string[] Bodies =
    [
        "The first thing to settle is what {0} should achieve, because everything else follows from it.",
        "With {0} in mind, {1} becomes easier to plan and to measure.",
        "Many who work on {0} underestimate how much {1} costs in time.",
        "A small trial with {0} shows within weeks whether {1} holds up.",
        "It helps to write down what {1} means before comparing options for {0}.",
        "Where {0} and {1} pull in different directions, decide which one the outcome depends on.",
        "Good results with {0} usually come from doing the simple parts well and leaving the rest for later.",
        "The main risk is that {1} takes attention away from {0}.",
        "Look at {0} from the point of view of whoever has to live with the result.",
        "Costs stay low as long as {0} reuses what is already there for {1}.",
        "A fair measure of progress is how often {0} works without anybody having to step in.",
        "Once {1} is in place, {0} can grow without starting over.",
        "Ask two or three people who know {1} what they would change about {0} first.",
        "Keep a short list of assumptions about {0} and strike out those that turn out wrong.",
        "What makes {0} different is the link to {1}, so say it plainly and early.",
        "If time is short, leave {1} for a second step and get {0} right now.",
    ];

    private readonly int _start = (int)(variant % 1_009);

    /// <summary>Sentences of an answer that ends by itself: four to eight.</summary>
    public int NaturalLength => 4 + (int)(variant / 1_009 % 5);

    public string Sentence(int index)
    {
        if (index == 0)
            return Capital(Openings[_start % Openings.Length].Replace("{0}", phrases.At(0)));

        // 7 and 16 share no factor: every template comes once before the first returns, with other phrases the next time round.
        var template = Bodies[(_start + index * 7) % Bodies.Length];
        var first = _start / 3 + index;
        var second = first + 1 + index / Bodies.Length;
        return Capital(template.Replace("{0}", phrases.At(first)).Replace("{1}", phrases.At(second % phrases.Topics.Count == first % phrases.Topics.Count ? second + 1 : second)));
    }

    /// <summary>The answer's first characters: its natural length, or as much as <paramref name="atLeast"/> characters need.</summary>
    public string Text(int atLeast)
    {
        var text = new StringBuilder(1_024);
        for (var i = 0; i < NaturalLength || text.Length < atLeast; i++)
        {
            if (i > 0)
                text.Append(i % 4 == 0 ? "\n\n" : " ");
            text.Append(Sentence(i));
        }
        return text.ToString();
    }

    private static string Capital(string sentence) => char.ToUpperInvariant(sentence[0]) + sentence[1..];
}
