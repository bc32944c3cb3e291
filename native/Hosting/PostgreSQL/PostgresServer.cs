using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;

namespace Aspire.Hosting.Postgres;

/// <summary>The machine's PostgreSQL for a server resource: never as root, no Unix socket, passwords over SCRAM alone.</summary>
internal static class PostgresServer
{
    private static readonly TimeSpan LeftoverPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LeftoverInterval = TimeSpan.FromMilliseconds(100);

    public static async Task<ProcessCommand> PrepareAsync(
        PostgresServerResource server, DataDirectory data, ProcessLauncher launcher, bool first, CancellationToken cancellationToken)
    {
        var user = UnixUser.Unprivileged("postgres", "nobody");
        var directory = data.For(server.Name);
        var keep = server.Annotations.OfType<ContainerMountAnnotation>().Any() && !data.IsThrowaway;
        var cluster = Path.Combine(directory, keep ? "data" : "throwaway");
        if (!keep && first && Directory.Exists(cluster))
            Directory.Delete(cluster, recursive: true);

        var installation = PostgresInstallation.Find(server.Name, MadeBy(cluster));
        await ServerFiles.CreateDirectoryAsync(launcher, directory, user).ConfigureAwait(false);
        if (!Directory.Exists(cluster))
            await InitializeAsync(server, installation, directory, cluster, user, launcher, keep, cancellationToken).ConfigureAwait(false);
        else
            await RemoveLeftoversAsync(server, cluster, cancellationToken).ConfigureAwait(false);

        List<string> settings =
        [
            $"port={server.PrimaryEndpoint.Port}",
            "listen_addresses=localhost",
            "unix_socket_directories=",
            "max_connections=300",
            "log_line_prefix=",
        ];
        // Data that nobody reads after a crash of the machine need not be forced to disk.
        if (!keep)
            settings.AddRange(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);

        return new ProcessCommand
        {
            FileName = installation.Server,
            Arguments = ["-D", cluster, .. settings.SelectMany(s => new[] { "-c", s })],
            User = user,
            StopSignal = Signals.Interrupt,
        };
    }

    private static int? MadeBy(string cluster)
    {
        var file = Path.Combine(cluster, "PG_VERSION");
        return File.Exists(file) ? int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture) : null;
    }

    // In a directory beside, so that data are whole or not there at all.
    private static async Task InitializeAsync(
        PostgresServerResource server, PostgresInstallation installation, string directory, string cluster, UnixUser? user,
        ProcessLauncher launcher, bool keep, CancellationToken cancellationToken)
    {
        var unfinished = cluster + ".new";
        var passwordFile = Path.Combine(directory, "password");
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);

        var superuser = await server.UserNameReference.GetValueAsync(cancellationToken).ConfigureAwait(false);
        var password = await server.PasswordParameter.GetValueAsync(cancellationToken).ConfigureAwait(false);
        await ServerFiles.WriteSecretAsync(launcher, passwordFile, password ?? "", user).ConfigureAwait(false);
        try
        {
            await ServerFiles.RunAsync(
                launcher, installation.Initdb,
                [
                    "-D", unfinished, "-U", superuser ?? "postgres", "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8",
                    "--locale=C.UTF-8", .. keep ? Array.Empty<string>() : ["--no-sync"],
                ],
                user).ConfigureAwait(false);
        }
        finally
        {
            File.Delete(passwordFile);
        }

        Directory.Move(unfinished, cluster);
    }

    // A server that was killed leaves postmaster.pid, and a reused process id in it would keep the next one from starting. Whether anybody
    // still works on these data is certain from the processes' working directory, which is the data directory for all of PostgreSQL's.
    private static async Task RemoveLeftoversAsync(PostgresServerResource server, string cluster, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(LeftoverPatience, TimeProvider.System);
        while (WorkingIn(cluster) is { } process)
        {
            if (patience.IsCancellationRequested)
            {
                throw new DistributedApplicationException(
                    $"The data of resource '{server.Name}' in {cluster} are in use by process {process}. Stop it first.");
            }

            await Task.Delay(LeftoverInterval, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }

        File.Delete(Path.Combine(cluster, "postmaster.pid"));
    }

    private static string? WorkingIn(string directory) => Directory.EnumerateDirectories("/proc")
        .Select(p => Path.GetFileName(p))
        .FirstOrDefault(id => char.IsAsciiDigit(id[0]) && IsLink($"/proc/{id}/cwd", directory));

    private static bool IsLink(string link, string target)
    {
        try
        {
            return new FileInfo(link).LinkTarget == target;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
