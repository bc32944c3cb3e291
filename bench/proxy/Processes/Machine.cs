using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace ValueCanvas.ProxyBench.Processes;

/// <summary>What the figures were taken on, and with which versions.</summary>
internal static partial class Machine
{
    public static async Task<JsonObject> DescribeAsync(Settings settings, CancellationToken cancellationToken)
    {
        var cpu = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name",
            StringComparison.Ordinal))?.Split(':')[1].Trim();
        var memory = File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        var git = await FirstLineAsync("git", ["-C", settings.Root, "log", "-1", "--format=%h %cI"], cancellationToken);
        var dirty = await FirstLineAsync("git", ["-C", settings.Root, "status", "--porcelain", "--untracked-files=no"], cancellationToken);
        return new JsonObject
        {
            ["cpu"] = cpu,
            ["cores"] = Environment.ProcessorCount,
            ["memory_gb"] = Math.Round(long.Parse(memory, System.Globalization.CultureInfo.InvariantCulture) / 1048576.0, 1),
            ["os"] = System.Runtime.InteropServices.RuntimeInformation.OSDescription,
            ["load_before"] = Load(),
            ["commit"] = git + (string.IsNullOrEmpty(dirty) ? "" : " + changes"),
            ["dotnet"] = Environment.Version.ToString(),
            ["nginx"] = await VersionAsync("nginx", "-v", cancellationToken),
            ["haproxy"] = await VersionAsync("haproxy", "-v", cancellationToken),
            ["wrk"] = "4", // wrk --version ends with an error and a usage text
            ["node"] = await VersionAsync("node", "--version", cancellationToken),
            ["portkey"] = settings.PortkeyVersion,
        };
    }

    /// <summary>The load average of the last minute: what else was going on.</summary>
    public static double Load() => double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0],
        System.Globalization.CultureInfo.InvariantCulture);

    private static async Task<string?> VersionAsync(string tool, string argument, CancellationToken cancellationToken) =>
        Shell.Find(tool) is { } file && await FirstLineAsync(file, [argument], cancellationToken) is { } line
            ? Digits().Match(line).Value : null;

    private static async Task<string?> FirstLineAsync(string tool, string[] arguments, CancellationToken cancellationToken) =>
        (await Shell.RunAsync(tool, arguments, cancellationToken))?.Split('\n')[0];

    [GeneratedRegex(@"\d+\.\d+(\.\d+)?")]
    private static partial Regex Digits();
}
