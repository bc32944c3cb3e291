using System.Diagnostics;
using System.Text.Json.Nodes;

namespace ValueCanvas.Tests.AppHost;

/// <summary>The committed manifest, and what the AppHost writes today.</summary>
internal static class PublishedManifest
{
    private const string FileName = "aspire-manifest.json";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly string[] SettingsThatMatter = ["Vllm__", "Parameters__", "VALUECANVAS_", "ASPNETCORE_", "DOTNET_LAUNCH"];

    /// <summary>The directory that the paths in the manifest start from.</summary>
    public static string Root { get; } = FindRoot(AppContext.BaseDirectory);

    public static JsonObject Committed() => Parse(File.ReadAllText(Path.Combine(Root, FileName)), Root);

    /// <summary>Runs the AppHost's manifest publisher in a process of its own, with these settings and no other.</summary>
    public static async Task<JsonObject> PublishAsync(params (string Variable, string Value)[] settings)
    {
        var directory = Directory.CreateTempSubdirectory("manifest-");
        try
        {
            var output = Path.Combine(directory.FullName, FileName);
            var start = new ProcessStartInfo(
                "dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Root };
            foreach (var argument in new[]
            {
                Path.Combine(AppContext.BaseDirectory, "ValueCanvas.AppHost.dll"), "--publisher", "manifest", "--output-path", output,
            })
            {
                start.ArgumentList.Add(argument);
            }

            foreach (var inherited in start.Environment.Keys.Where(IsSetting).ToArray())
                start.Environment.Remove(inherited);

            foreach (var (variable, value) in settings)
                start.Environment[variable] = value;

            await RunAsync(start);
            return Parse(await File.ReadAllTextAsync(output, TestContext.Current.CancellationToken), directory.FullName);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static bool IsSetting(string variable)
        => SettingsThatMatter.Any(prefix => variable.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));

    private static async Task RunAsync(ProcessStartInfo start)
    {
        using var process = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, $"The AppHost ended with {process.ExitCode}:\n{await output}\n{await error}");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Paths are relative to where the manifest was written; here they all become relative to <see cref="Root"/>.</summary>
    private static JsonObject Parse(string text, string directory)
    {
        var manifest = JsonNode.Parse(text)!.AsObject();
        foreach (var (_, resource) in manifest["resources"]!.AsObject())
        {
            if (resource!["path"] is { } path)
            {
                var full = Path.GetFullPath((string)path!, directory);
                resource["path"] = Path.GetRelativePath(Root, full).Replace('\\', '/');
            }
        }

        return manifest;
    }

    private static string FindRoot(string directory)
        => File.Exists(Path.Combine(directory, "ValueCanvas.sln")) ? directory : FindRoot(Path.GetDirectoryName(directory)!);
}
