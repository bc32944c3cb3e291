using System.Globalization;
using Aspire.Hosting.Orchestration;

namespace Aspire.Hosting.Postgres;

/// <summary>One version of PostgreSQL on this machine.</summary>
internal sealed record PostgresInstallation(int Major, string Binaries)
{
    public string Initdb => Path.Combine(Binaries, "initdb");

    public string Server => Path.Combine(Binaries, "postgres");

    /// <summary>The version that made the data, or the newest. Debian keeps each version in a directory that is not on the PATH.</summary>
    public static PostgresInstallation Find(string resource, int? wanted)
    {
        PostgresInstallation[] found = [.. All().OrderByDescending(i => i.Major)];
        if (found.Length == 0)
        {
            throw new DistributedApplicationException(
                $"Resource '{resource}' needs PostgreSQL's server (postgres, initdb), which is not on this machine: neither on the PATH " +
                "nor in /usr/lib/postgresql. On Debian or Ubuntu: apt-get install postgresql");
        }

        return wanted is null
            ? found[0]
            : found.FirstOrDefault(i => i.Major == wanted) ?? throw new DistributedApplicationException(
                $"The data of resource '{resource}' were made by PostgreSQL {wanted}, and this machine has " +
                $"{string.Join(", ", found.Select(i => i.Major))}. " +
                $"Install version {wanted}, or delete the data.");
    }

    private static IEnumerable<PostgresInstallation> All()
    {
        const string debian = "/usr/lib/postgresql";
        if (Directory.Exists(debian))
        {
            foreach (var directory in Directory.EnumerateDirectories(debian))
            {
                if (int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var major)
                    && Complete(Path.Combine(directory, "bin")))
                {
                    yield return new(major, Path.Combine(directory, "bin"));
                }
            }
        }

        if (Executables.Find("initdb") is { } initdb)
        {
            var binaries = Path.GetDirectoryName(File.ResolveLinkTarget(initdb, returnFinalTarget: true)?.FullName ?? initdb)!;
            if (Complete(binaries) && Version(binaries) is { } version)
                yield return new(version, binaries);
        }
    }

    private static bool Complete(string binaries) =>
        Executables.IsExecutable(Path.Combine(binaries, "initdb")) && Executables.IsExecutable(Path.Combine(binaries, "postgres"));

    // "postgres (PostgreSQL) 17.2"
    private static int? Version(string binaries)
    {
        using var process = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo(Path.Combine(binaries, "postgres"), "--version") { RedirectStandardOutput = true });
        var words = process?.StandardOutput.ReadToEnd().Split(' ', '.') ?? [];
        return words
            .Select(w => int.TryParse(w, CultureInfo.InvariantCulture, out var major) ? major : (int?)null)
            .FirstOrDefault(m => m is not null);
    }
}
