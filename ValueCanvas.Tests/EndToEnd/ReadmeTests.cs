using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ValueCanvas.Tests.EndToEnd;

/// <summary>What the README tells a newcomer to type works as printed.</summary>
[Collection(nameof(EndToEnd))]
public sealed partial class ReadmeTests(AppHostFixture system)
{
    private const string Section = "## The first five minutes";

    [Fact]
    public async Task FirstFiveMinutes_EveryCurlLine_Succeeds()
    {
        var api = await system.ApiAsync();
        var blocks = Blocks().Where(block => block.Contains("curl", StringComparison.Ordinal)).ToArray();
        Assert.True(blocks.Length >= 5, $"{blocks.Length} blocks with curl in '{Section}'");

        foreach (var block in blocks)
        {
            // psql has a test of its own; the address is the one thing that differs here,
            // and --fail turns an error answer into an exit code.
            var lines = block.Split('\n').Where(line => !line.StartsWith("./run.sh", StringComparison.Ordinal));
            var script = string.Join('\n', lines)
                .Replace("http://localhost:5180", api.BaseAddress!.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
                .Replace("curl -s", "curl --fail-with-body --max-time 60 -s", StringComparison.Ordinal);

            var (exitCode, output) = await BashAsync(script);

            Assert.True(exitCode == 0 && output.Contains('"'), $"exit code {exitCode}\n{script}\n{output}");
        }
    }

    private static IEnumerable<string> Blocks()
    {
        var readme = File.ReadAllText(Path.Combine(RepositoryRoot(), "README.md"));
        var start = readme.IndexOf(Section, StringComparison.Ordinal);
        Assert.True(start >= 0, $"README.md has no '{Section}'");
        var end = readme.IndexOf("\n## ", start + Section.Length, StringComparison.Ordinal);
        return BashBlock().Matches(readme[start..end]).Select(match => match.Groups[1].Value);
    }

    private static string RepositoryRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "ValueCanvas.sln")))
            directory = directory.Parent;
        return directory?.FullName ?? throw new InvalidOperationException("The tests do not run below the repository.");
    }

    private static async Task<(int ExitCode, string Output)> BashAsync(string script)
    {
        var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // What ./run.sh key prints where the system was started by hand.
            Environment = { ["VALUECANVAS_API_KEY"] = AppHostFixture.Key },
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(90));
        return (process.ExitCode, await output + await error);
    }

    [GeneratedRegex("```bash\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex BashBlock();
}
