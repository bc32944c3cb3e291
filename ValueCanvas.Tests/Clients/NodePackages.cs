using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using ValueCanvas.Tests.AppHost;

namespace ValueCanvas.Tests.Clients;

/// <summary>
/// The packages of package-lock.json, installed once below artifacts/ for each state of that file, beside copies of the scripts.
/// </summary>
internal static partial class NodePackages
{
    private static readonly Lazy<Task<NodeFolder>> Installed = new(InstallAsync);

    /// <summary>Where the scripts can run, or why there is no such place on this machine.</summary>
    public static Task<NodeFolder> FolderAsync() => Installed.Value;

    /// <summary>Null where there is no such program.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)?> RunAsync(
        string program, string[] arguments, string folder, TimeSpan limit, params (string Key, string Value)[] environment)
    {
        var start = new ProcessStartInfo(
            program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (key, value) in environment)
            start.Environment[key] = value;

        using var process = Start(start);
        if (process is null)
            return null;

        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(limit);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }

        return (process.ExitCode, await output, await errors);
    }

    private static Process? Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static async Task<NodeFolder> InstallAsync()
    {
        var source = Path.Combine(PublishedManifest.Root, "ValueCanvas.Tests", "Clients");
        var state = Convert.ToHexStringLower(
            SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(source, "package-lock.json"))))[..16];
        var folder = Path.Combine(PublishedManifest.Root, "artifacts", "clients", state);
        if (await RunAsync("node", ["--version"], source, TimeSpan.FromSeconds(30)) is not { } node)
            return NodeFolder.Without("Node.js is not installed.");

        if (int.Parse(node.Output.TrimStart('v').Split('.')[0], System.Globalization.CultureInfo.InvariantCulture) < 20)
            return NodeFolder.Without($"Node.js is {node.Output.Trim()}; the client libraries need 20.");

        if (!Directory.Exists(folder) && await FillAsync(source, folder) is { } missing)
            return NodeFolder.Without(missing);

        foreach (var script in Directory.GetFiles(source, "*.mjs"))
            File.Copy(script, Path.Combine(folder, Path.GetFileName(script)), overwrite: true);

        return new NodeFolder(folder, null);
    }

    private static async Task<string?> FillAsync(string source, string folder)
    {
        var fresh = $"{folder}.{Environment.ProcessId}";
        Directory.CreateDirectory(fresh);
        try
        {
            foreach (var file in new[] { "package.json", "package-lock.json", ".npmrc" })
                File.Copy(Path.Combine(source, file), Path.Combine(fresh, file));

            var npm = await RunAsync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], fresh, TimeSpan.FromMinutes(3));
            if (npm is not { } run)
                return "npm is not installed.";

            if (run.ExitCode != 0)
            {
                Assert.Matches(NoRegistry(), run.Errors); // anything else is a fault of the lock file
                return "npm finds no registry to fetch the client libraries from.";
            }

            if (!Directory.Exists(folder))
                Directory.Move(fresh, folder);

            return null;
        }
        finally
        {
            if (Directory.Exists(fresh))
                Directory.Delete(fresh, recursive: true);
        }
    }

    [GeneratedRegex(
        "ENOTFOUND|EAI_AGAIN|ECONN[A-Z]+|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E40[137]|E5[0-9][0-9]|CERT|SELF_SIGNED")]
    private static partial Regex NoRegistry();
}

/// <summary>A folder, or why there is none.</summary>
internal sealed record NodeFolder(string Path, string? Missing)
{
    public static NodeFolder Without(string missing) => new("", missing);
}
