using System.Text;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Upstream;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>A request of a workload: where it goes and what it says.</summary>
internal sealed record WorkItem(string Path, byte[] Body);

/// <summary>
/// The three workloads. The same seed gives the same requests in the same order under every policy. Four characters are about one token.
/// </summary>
internal sealed record Workload(string Name, string Description, Func<int, IEnumerable<WorkItem>> Requests)
{
    private const int Groups = 72;
    private const int SystemPrompt = 24 * 1024;
    private const int Sessions = 64;
    private const int FileAtStart = 24 * 1024;
    private const int UniquePrompt = 8 * 1024;

    public static readonly Workload SharedPrefixes = new("shared-prefix chat",
        $"{Groups} assistants, each with a system prompt of {SystemPrompt / 1024} kB, in random order; "
        + "questions of 400 to 1,200 characters; 64 tokens out",
        SharedPrefixChat);

    public static readonly Workload Code = new("code completion",
        $"{Sessions} editors in random order, each file {FileAtStart / 1024} kB at first and "
        + "150 to 450 characters longer each time; 32 tokens out",
        CodeCompletion);

    public static readonly Workload NoReuse = new("no reuse", $"prompts of {UniquePrompt / 1024} kB that share nothing; 128 tokens out",
        Unique);

    /// <summary>A streamed chat request with exactly this many tokens of answer; texts must be JSON-escaped.</summary>
    public static WorkItem Chat(string? system, string user, int tokens) => new("/v1/chat/completions", Encoding.ASCII.GetBytes(
        $$"""{"model":"{{Answers.Model}}","stream":true,"messages":["""
        + (system is null ? "" : $$"""{"role":"system","content":"{{system}}"},""")
        + $$"""{"role":"user","content":"{{user}}"}],"ignore_eos":true,"min_tokens":{{tokens}},"max_tokens":{{tokens}}}"""));

    private static IEnumerable<WorkItem> SharedPrefixChat(int count)
    {
        var random = new Random(20_251);
        var systems = Enumerable.Range(0, Groups).Select(g => Prompts.Prose(new Random(1_000_000 + g), SystemPrompt)).ToArray();
        for (var i = 0; i < count; i++)
            yield return Chat(systems[random.Next(Groups)], Prompts.Prose(random, random.Next(400, 1200)), 64);
    }

    private static IEnumerable<WorkItem> CodeCompletion(int count)
    {
        var random = new Random(20_252);
        var files = Enumerable.Range(0, Sessions).Select(s => new StringBuilder(Prompts.Prose(new Random(2_000_000 + s),
            FileAtStart))).ToArray();
        for (var i = 0; i < count; i++)
        {
            var file = files[random.Next(Sessions)];
            file.Append(Prompts.Prose(random, random.Next(150, 450)));
            yield return new WorkItem("/v1/completions", Encoding.ASCII.GetBytes(
                $$"""{"model":"{{Answers.Model}}","stream":true,"prompt":"{{file}}","ignore_eos":true,"min_tokens":32,"max_tokens":32}"""));
        }
    }

    private static IEnumerable<WorkItem> Unique(int count)
    {
        var random = new Random(20_253);
        for (var i = 0; i < count; i++)
            yield return Chat(null, Prompts.Prose(random, UniquePrompt), 128);
    }
}
