using System.Globalization;

namespace Aspire.Hosting.Orchestration;

/// <summary>A process to start.</summary>
internal sealed record ProcessCommand
{
    public required string FileName { get; init; }

    public IReadOnlyList<string> Arguments { get; init; } = [];

    public string? WorkingDirectory { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Variables of the AppHost that the process must not inherit.</summary>
    public IReadOnlyList<string> WithoutVariables { get; init; } = [];

    /// <summary>Written to standard input, which then ends: the way for secrets, which the command line would show to everybody.</summary>
    public string Input { get; init; } = "";

    public UnixUser? User { get; init; }

    /// <summary>The signal that makes it finish its work and end.</summary>
    public int StopSignal { get; init; } = Signals.Terminate;
}

/// <summary>A user to run as, where the AppHost runs as root.</summary>
internal sealed record UnixUser(string Name, int UserId, int GroupId)
{
    /// <summary>The first of these that the machine has; none where the AppHost is an ordinary user itself.</summary>
    public static UnixUser? Unprivileged(params ReadOnlySpan<string> names)
    {
        if (!Environment.IsPrivilegedProcess)
            return null;

        var known = File.ReadLines("/etc/passwd")
            .Select(line => line.Split(':'))
            .Where(fields => fields.Length >= 4 && int.TryParse(fields[2], out _) && int.TryParse(fields[3], out _))
            .Select(fields => new UnixUser(
                fields[0], int.Parse(fields[2], CultureInfo.InvariantCulture), int.Parse(fields[3], CultureInfo.InvariantCulture)))
            .ToArray();
        foreach (var name in names)
        {
            if (known.FirstOrDefault(u => u.Name == name) is { } user)
                return user;
        }

        throw new DistributedApplicationException(
            $"No unprivileged user to run a server as: {string.Join(", ", names)} are not in /etc/passwd.");
    }
}
