using ValueCanvas.Tests.AppHost;

namespace ValueCanvas.Tests.Documentation;

/// <summary>What <c>.editorconfig</c> says and no analyzer looks at.</summary>
public sealed class LineLengthTests
{
    private const int Most = 140;

    private static readonly string[] Generated = ["artifacts", "bin", "node_modules", "obj"];

    [Fact]
    public void EveryLineOfCode_FitsTheWindow()
    {
        var files = Files(new DirectoryInfo(PublishedManifest.Root)).ToList();

        Assert.True(files.Count > 500, $"Only {files.Count} files were found below {PublishedManifest.Root}.");
        Assert.Empty(files.SelectMany(TooLong));
    }

    private static IEnumerable<FileInfo> Files(DirectoryInfo directory) => directory.EnumerateFiles("*.cs").Concat(
        directory.EnumerateDirectories().Where(IsOurs).SelectMany(Files));

    // Databases have run the migrations as they are.
    private static bool IsOurs(DirectoryInfo directory) =>
        !directory.Name.StartsWith('.') && directory.Name != "Migrations" && !Generated.Contains(directory.Name);

    // An event of a recorded stream is one line.
    private static IEnumerable<string> TooLong(FileInfo file) => File.ReadLines(file.FullName).Index()
        .Where(line => line.Item.Length > Most && !line.Item.TrimStart().StartsWith("data: {", StringComparison.Ordinal))
        .Select(line => $"{Path.GetRelativePath(PublishedManifest.Root, file.FullName)}:{line.Index + 1}");
}
