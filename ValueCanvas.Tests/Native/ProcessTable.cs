using System.Globalization;
using System.Text;

namespace ValueCanvas.Tests.Native;

/// <summary>The machine's processes, as /proc shows them.</summary>
internal static class ProcessTable
{
    /// <param name="assignment"><c>NAME=VALUE</c> in the environment that the process was started with.</param>
    public static IReadOnlyList<int> WithVariable(string assignment) =>
        [.. All().Where(id => Environment(id).Contains(assignment, StringComparer.Ordinal))];

    public static string? Variable(int processId, string name) =>
        Environment(processId).FirstOrDefault(v => v.StartsWith(name + "=", StringComparison.Ordinal));

    /// <summary>Those whose working directory is <paramref name="directory"/> or in it.</summary>
    public static IReadOnlyList<int> WorkingIn(string directory) =>
        [.. All().Where(id => $"{WorkingDirectory(id)}/".StartsWith(directory + "/", StringComparison.Ordinal))];

    private static IEnumerable<int> All() => Directory.EnumerateDirectories("/proc")
        .Select(path => int.TryParse(Path.GetFileName(path), CultureInfo.InvariantCulture, out var id) ? id : 0)
        .Where(id => id > 0);

    private static string[] Environment(int processId)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{processId}/environ"))
                .Split('\0', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string? WorkingDirectory(int processId)
    {
        try
        {
            return new FileInfo($"/proc/{processId}/cwd").LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
