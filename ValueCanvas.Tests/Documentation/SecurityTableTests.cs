using System.Reflection;
using System.Text.RegularExpressions;
using ValueCanvas.Tests.AppHost;

namespace ValueCanvas.Tests.Documentation;

/// <summary>docs/security.md names tests and files that there are.</summary>
public sealed partial class SecurityTableTests
{
    private static readonly string[][] Rows =
    [
        .. File.ReadLines(Path.Combine(PublishedManifest.Root, "docs", "security.md"))
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal) && !line.StartsWith("| threat", StringComparison.Ordinal))
            .Select(line => line.Split(" | ")),
    ];

    private static readonly string[] Projects = ["ValueCanvas.Api", "ValueCanvas.Core", "ValueCanvas.Worker"];

    [Fact]
    public void EveryRow_NamesTestsThatThereAre()
    {
        var tests = typeof(SecurityTableTests).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance))
            .Where(method => method.GetCustomAttributes<FactAttribute>().Any())
            .Select(method => method.Name).ToHashSet();

        Assert.NotEmpty(Rows);
        Assert.All(Rows, row => Assert.NotEmpty(Names(row[3])));
        Assert.Empty(Rows.SelectMany(row => Names(row[3])).Except(tests));
    }

    [Fact]
    public void EveryRow_NamesFilesThatThereAre()
    {
        var files = Projects
            .Select(project => Path.Combine(PublishedManifest.Root, project))
            .SelectMany(project => Directory.EnumerateFiles(project, "*.cs", SearchOption.AllDirectories))
            .Select(Path.GetFileName).ToHashSet();

        Assert.Empty(Rows.SelectMany(row => Names(row[2])).Where(name => name.EndsWith(".cs", StringComparison.Ordinal))
            .Select(Path.GetFileName).Except(files));
    }

    private static IEnumerable<string> Names(string cell) => Quoted().Matches(cell).Select(match => match.Groups[1].Value);

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();
}
