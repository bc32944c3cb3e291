namespace Aspire.Hosting.Orchestration;

/// <summary>Directories and files that belong to the user a server runs as.</summary>
internal static class ServerFiles
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>A directory that only that user enters. The user must be able to get there, past every directory above it.</summary>
    public static async Task CreateDirectoryAsync(ProcessLauncher launcher, string path, UnixUser? user)
    {
        await RunAsync(launcher, "install", [.. Owner(user), "-d", "-m", "0700", path], user: null).ConfigureAwait(false);
        var enter = new ProcessCommand { FileName = "test", Arguments = ["-x", path], User = user };
        if ((await EndAsync(launcher, enter).ConfigureAwait(false)).Code != 0)
        {
            throw new DistributedApplicationException(
                $"The user '{user?.Name}' cannot enter {path}: a directory above it is closed to others. "
                + $"Open it (chmod o+x), or set {DataDirectory.Variable} to another directory.");
        }
    }

    /// <summary>A file that only that user reads.</summary>
    public static Task WriteSecretAsync(ProcessLauncher launcher, string path, string content, UnixUser? user) =>
        RunAsync(launcher, "install", [.. Owner(user), "-m", "0600", "/dev/stdin", path], user: null, content);

    /// <summary>Runs a program to its end.</summary>
    public static async Task RunAsync(
        ProcessLauncher launcher, string fileName, IReadOnlyList<string> arguments, UnixUser? user, string input = "")
    {
        var command = new ProcessCommand { FileName = fileName, Arguments = arguments, User = user, Input = input };
        var (code, lastLines) = await EndAsync(launcher, command).ConfigureAwait(false);
        if (code != 0)
        {
            throw new DistributedApplicationException(
                $"{Path.GetFileName(fileName)} failed with exit code {code}: {string.Join(" | ", lastLines.TakeLast(5))}");
        }
    }

    private static async Task<(int Code, IReadOnlyList<string> LastLines)> EndAsync(ProcessLauncher launcher, ProcessCommand command)
    {
        var child = await ChildProcess.StartAsync(launcher, command, _ => { }).ConfigureAwait(false);
        try
        {
            return (await child.Exited.WaitAsync(Patience, TimeProvider.System).ConfigureAwait(false), child.LastLines);
        }
        catch (TimeoutException e)
        {
            Signals.SendToGroup(child.Id, Signals.Kill);
            throw new DistributedApplicationException($"{command.FileName} did not end within {Patience.TotalSeconds} s.", e);
        }
    }

    private static string[] Owner(UnixUser? user) => user is null ? [] : ["-o", user.Name, "-g", $"{user.GroupId}"];
}
