using System.Runtime.InteropServices;
using System.Text.Json;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation.Schemas;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>What is asked: the messages, the part of the answer that is there already, and the form that the answer must have.</summary>
internal sealed record Question(IReadOnlyList<ChatTurn> Turns, string Answered, OutputFormat Format)
{
    public IReadOnlyList<ToolFunction> Tools { get; init; } = [];

    /// <summary>A function that must be called, by name; null to let the model choose.</summary>
    public string? NamedTool { get; init; }

    public bool ToolRequired { get; init; }

    public bool ParallelTools { get; init; } = true;

    /// <summary>What a text answer starts with.</summary>
    public string Lead { get; init; } = "";
}

/// <summary>
/// Writes the answers. One question with one seed has one answer, whatever was already answered of it, so that a stream that broke
/// goes on with the rest of the same answer.
/// </summary>
internal static class Answerer
{
    private static JsonElement SmallObject { get; } = JsonDocument.Parse(
        """
        {
          "type": "object",
          "required": ["title", "summary", "points"],
          "properties": {
            "title": {"type": "string"},
            "summary": {"type": "string"},
            "points": {"type": "array", "items": {"type": "string"}}
          }
        }
        """).RootElement;

    /// <exception cref="UnsupportedSchemaException">The schema or pattern asked for cannot be satisfied.</exception>
    public static Completion[] Answer(Question question, Sampling sampling)
    {
        var about = LastText(question.Turns);
        var subject = new Lazy<Subject>(() => Subject.Of(about));
        var seed = VariantOf(question.Turns, sampling.Greedy ? 0 : sampling.Seed);
        var answers = new Completion[sampling.Choices];
        for (var choice = 0; choice < answers.Length; choice++)
            answers[choice] = One(question, sampling, subject, about, choice == 0 ? seed : BlockHash.Mix(seed, (ulong)choice));
        return answers;
    }

    /// <summary>Whether what is already answered is how the answer begins, even where it goes on beyond its natural end.</summary>
    public static bool IsBeginningOfAnswer(Question question, Sampling sampling)
    {
        var about = LastText(question.Turns);
        var prose = Prose.About(about, Subject.Of(about).Phrases, VariantOf(question.Turns, sampling.Greedy ? 0 : sampling.Seed));
        return (question.Lead + prose.Text(question.Answered.Length)).StartsWith(question.Answered, StringComparison.Ordinal);
    }

    private static Completion One(Question question, Sampling sampling, Lazy<Subject> subject, string about, ulong variant)
    {
        if (Calls(question, about) is { Count: > 0 } calls)
            return ToolPlan.Write(calls, subject.Value, variant, sampling);

        // The tokens asked for in any case, at no more than seven characters each, after what is there.
        var wanted = Math.Max(sampling.MinTokens, sampling.IgnoreEos ? sampling.MaxTokens : 0);
        var structured = question.Format.Kind != OutputKind.Text;
        var text = structured
            ? Structured(question.Format, subject.Value, variant)
            : question.Lead
                + Prose.About(about, subject.Value.Phrases, variant).Text(wanted == 0 ? 0 : question.Answered.Length + wanted * 7);
        if (question.Answered.Length > 0)
        {
            if (text.StartsWith(question.Answered, StringComparison.Ordinal))
                text = text[question.Answered.Length..];
            else if (!structured && !char.IsWhiteSpace(question.Answered[^1]))
                text = " " + text;
        }
        return CompletionCutter.Cut(text, structured ? sampling with { IgnoreEos = false } : sampling);
    }

    private static string Structured(OutputFormat format, Subject subject, ulong variant) => format.Kind switch
    {
        OutputKind.JsonSchema => SchemaWriter.Write(format.Schema, subject, variant),
        OutputKind.Choice => format.Choices![(int)(variant % (ulong)format.Choices.Count)],
        OutputKind.Pattern => PatternText.Of(format.Pattern!, 0, int.MaxValue, (int)(variant % 3)),
        _ => SchemaWriter.Write(SmallObject, subject, variant),
    };

    // A result that has come back is answered with text, unless a call is demanded.
    private static List<ToolFunction>? Calls(Question question, string about)
    {
        if (question.Tools.Count == 0)
            return null;
        if (question.NamedTool is { } name)
            return [question.Tools.First(tool => tool.Name == name)];
        if (!question.ToolRequired && question.Turns is [.., { Role: "tool" }])
            return null;
        return question.Answered.Length > 0 ? null : ToolPlan.Choose(question.Tools, about, question.ParallelTools);
    }

    private static string LastText(IReadOnlyList<ChatTurn> turns)
    {
        for (var i = turns.Count - 1; i >= 0; i--)
        {
            if (turns[i].Role is "user" or "tool" && turns[i].Text.Length > 0)
                return turns[i].Text;
        }
        return turns.Count > 0 ? turns[^1].Text : "";
    }

    private static ulong VariantOf(IReadOnlyList<ChatTurn> turns, long seed)
    {
        var hash = BlockHash.Mix(1, (ulong)seed);
        foreach (var turn in turns)
        {
            var text = turn.Text.AsSpan();
            hash = BlockHash.Mix(hash, (ulong)text.Length * 31 + turn.Role[0]);
            foreach (var four in MemoryMarshal.Cast<char, ulong>(text))
                hash = BlockHash.Mix(hash, four);
            foreach (var rest in text[(text.Length / 4 * 4)..])
                hash = BlockHash.Mix(hash, rest);
        }
        return hash;
    }
}
