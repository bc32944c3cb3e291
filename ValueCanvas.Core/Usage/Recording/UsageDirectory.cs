using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>
/// Where rows and open calls are kept on this machine: below the configured directory one for each database, so that no row can get into
/// another's. A file belongs to the process that has it open; what nobody has open belonged to one that died.
/// </summary>
internal sealed partial class UsageDirectory
{
    public UsageDirectory(NpgsqlDataSource database, IOptions<UsageOptions> options, ILogger<UsageDirectory> logger)
    {
        var settings = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var identity = string.Create(CultureInfo.InvariantCulture, $"{settings.Host}:{settings.Port}/{settings.Database}");
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)))[..16];
        var own = Path.Combine(LocalData(), "valuecanvas", "usage", name);
        Location = options.Value.Directory is { Length: > 0 } configured ? Path.Combine(configured, name) : own;
        if (Location == own || IsWritable())
            return;
        // A volume that belongs to somebody else is no reason to lose rows that the container itself can keep.
        Log.Unwritable(logger, Location, own);
        Location = own;
    }

    public string Location { get; }

    /// <summary>A new file that no other process can open meanwhile.</summary>
    public FileStream Create(string kind)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(Location);
        else
            Directory.CreateDirectory(Location, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var name = Path.Combine(Location, $"{kind}-{Guid.CreateVersion7():N}.jsonl");
        return new FileStream(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
    }

    /// <summary>The files of that kind that no process has open any more, oldest first; each to be disposed, and deleted when it has been
    /// dealt with.
    /// </summary>
    public IEnumerable<FileStream> Abandoned(string kind)
    {
        if (!Directory.Exists(Location))
            yield break;
        foreach (var name in Directory.GetFiles(Location, $"{kind}-*.jsonl").Order(StringComparer.Ordinal))
        {
            FileStream file;
            try
            {
                file = new FileStream(name, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                continue; // in use, or gone
            }

            yield return file;
        }
    }

    private bool IsWritable()
    {
        try
        {
            using var probe = Create("probe");
            File.Delete(probe.Name);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string LocalData() =>
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } data ? data : Path.GetTempPath();

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error,
            "Usage:Directory cannot be written ({Location}): "
            + "rows that wait for the database are kept in {Own}, which may not outlive this process")]
        public static partial void Unwritable(ILogger logger, string location, string own);
    }
}
