using System.Collections.Frozen;
using System.Text;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>
/// Readable sentences about a subject, as many as are asked for: sentence k depends on the subject, the variant and k alone, so that
/// an answer cut anywhere can be continued with exactly the rest of itself.
/// </summary>
internal sealed class Prose(KeyPhrases phrases, ulong variant, bool isBrief = false)
{
    private static readonly string[] Openings =
    [
        "A few thoughts on {0}.", "For {0}, begin with the people it is for.",
        "Let me take {0} step by step.", "On {0}, a few things matter most.",
        "Here is how I would approach {0}.", "Some practical points on {0}.", "Here is a short view on {0}.",
        "Four points on {0}.", "With {0}, a good start is half the work.",
    ];

    // By the question's first word.
    private static readonly FrozenDictionary<string, string[]> Answers = new Dictionary<string, string[]>
    {
        ["how"] =
        [
            "To make progress with {0}, begin small, measure what happens and keep what works.",
            "With {0}, the first step is to find out where most of the time and money goes today.",
        ],
        ["why"] =
        [
            "There is rarely a single reason: around {0}, several causes usually come together.",
            "The reasons around {0} become clear when those concerned are asked directly.",
        ],
        ["what"] =
        [
            "What counts most about {0} is what people notice every day: quality, reliability and a personal touch.",
            "The main point about {0} is the difference it makes for the people who come into contact with it.",
        ],
        ["explain"] = ["In simple words: {0} can be understood best step by step, from the purpose to the details."],
        ["is"] = ["It depends on the circumstances, but a small trial around {0} gives an answer quickly."],
    }.ToFrozenDictionary();

    private static readonly string[] Bodies =
    [
        "Say in one plain sentence what should be different in the end, and check it with a few people before spending more.",
        "Service, reliability and a personal touch often count for more than the product alone.",
        "Pay attention to {1} as well: time and money are often lost there without anybody noticing.",
        "Small, steady improvements usually do more than one large effort.",
        "Pick two or three figures that show whether things go in the right direction, and look at them every week.",
        "A simple test with {1} shows more within a few weeks than a long plan.",
        "Compare two or three alternatives side by side, including the option of changing nothing.",
        "Keep fixed costs low until it is clear that the idea holds.",
        "Write down what must be true for success, and test the riskiest assumption first.",
        "Partners who already have the trust of the right people make the start easier.",
        "When it comes to {1}, ask those who deal with it every day what they would change first.",
        "Be clear about what is left out, so that effort goes into the few points that count.",
        "Listen to complaints early, because they show where to improve first.",
        "Everything should be easy to explain: what it is, what it costs and why it is worth the money.",
        "Close ties and regular feedback are hard for others to copy.",
        "For {1}, name one person who is responsible and a date by which there should be a result.",
        "Talk to five people who know the situation and ask what they would miss most.",
        "Finally, put the next step in writing: who does what, and by when.",
    ];

    private const int Paragraph = 4;

    private readonly int _start = (int)(variant % 1_009);

    /// <summary>Sentences of an answer that ends by itself: four to eight, or as many as were asked for.</summary>
    public int NaturalLength => isBrief ? 1 : 4 + (int)(variant / 1_009 % 5);

    /// <summary>What is written about a text; one that asks for it is answered in one sentence.</summary>
    public static Prose About(string text, KeyPhrases phrases, ulong variant) =>
        new(phrases, variant, text.Contains("in one sentence", StringComparison.OrdinalIgnoreCase));

    public string Sentence(int index)
    {
        if (index == 0)
            return Capital(Opening());

        // 7 and 18 share no factor: every template comes once before the first returns, with other phrases the next time round.
        var template = Bodies[(_start + index * 7) % Bodies.Length];
        return Capital(template.Replace("{1}", phrases.Besides(_start / 3 + index + index / Bodies.Length)));
    }

    private string Opening()
    {
        var kind = phrases.FirstWord switch
        {
            "are" or "should" or "can" or "could" or "does" or "do" or "will" or "would" => "is",
            "describe" or "define" => "explain",
            "hi" or "hello" or "hey" => "hello",
            var word => word,
        };
        if (kind == "hello" && phrases.Main == KeyPhrases.Nothing)
            return "Hello! A sentence or two about your business is enough for a first canvas.";
        var openings = Answers.GetValueOrDefault(kind) ?? Openings;
        return openings[_start / Bodies.Length % openings.Length].Replace("{0}", phrases.Main);
    }

    /// <summary>The answer's first characters: its natural length, or as much as <paramref name="atLeast"/> characters need.</summary>
    public string Text(int atLeast)
    {
        var text = new StringBuilder(1_024);
        for (var i = 0; i < NaturalLength || text.Length < atLeast; i++)
        {
            if (i > 0)
                text.Append(i % Paragraph == 0 ? "\n\n" : " ");
            text.Append(Sentence(i));
        }
        return text.ToString();
    }

    private static string Capital(string sentence) => char.ToUpperInvariant(sentence[0]) + sentence[1..];
}
