namespace Aspire.Hosting.Orchestration;

/// <summary>Directories and files that belong to the user a server runs as.</summary>
internal static class ServerFiles
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static Task CreateDirectoryAsync(ProcessLauncher launcher, string path, UnixUser? user) =>
        RunAsync(launcher, "install", [.. Owner(user), "-d", "-m", "0700", path], user: null);

    /// <summary>A file that only that user reads.</summary>
    public static Task WriteSecretAsync(ProcessLauncher launcher, string path, string content, UnixUser? user) =>
        RunAsync(launcher, "install", [.. Owner(user), "-m", "0600", "/dev/stdin", path], user: null, content);

    /// <summary>Runs a program to its end.</summary>
    public static async Task RunAsync(
        ProcessLauncher launcher, string fileName, IReadOnlyList<string> arguments, UnixUser? user, string input = "")
    {
        var command = new ProcessCommand { FileName = fileName, Arguments = arguments, User = user, Input = input };
        var child = await ChildProcess.StartAsync(launcher, command, _ => { }).ConfigureAwait(false);
        int code;
        try
        {
            code = await child.Exited.WaitAsync(Patience, TimeProvider.System).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            Signals.SendToGroup(child.Id, Signals.Kill);
            throw new DistributedApplicationException($"{fileName} did not end within {Patience.TotalSeconds} s.", e);
        }

        if (code != 0)
            throw new DistributedApplicationException(
                $"{Path.GetFileName(fileName)} failed with exit code {code}: {string.Join(" | ", child.LastLines.TakeLast(5))}");
    }

    private static string[] Owner(UnixUser? user) => user is null ? [] : ["-o", user.Name, "-g", $"{user.GroupId}"];
}
