using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>Where a run keeps what outlives it: generated parameters and the data of servers with a volume.</summary>
internal sealed class DataDirectory : IDisposable
{
    public const string Variable = "VALUECANVAS_DATA";

    // Servers run as users of their own: they may pass through, not look around.
    private const UnixFileMode PassThrough =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private FileStream? _lock;

    private DataDirectory(string path, bool isThrowaway)
    {
        Path = Real(path);
        IsThrowaway = isThrowaway;
    }

    public string Path { get; }

    /// <summary>Deleted at the end, as the testing builder wants it.</summary>
    public bool IsThrowaway { get; }

    public string ParametersFile => System.IO.Path.Combine(Path, "parameters.json");

    /// <summary>Where everything of the running application listens.</summary>
    public string EndpointsFile => System.IO.Path.Combine(Path, "endpoints.json");

    public static DataDirectory ForRun(string appHostDirectory)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } chosen)
            return new(System.IO.Path.GetFullPath(chosen), isThrowaway: false);

#pragma warning disable CA1308 // Directory names are lower case.
        var checkout = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(appHostDirectory))).ToLowerInvariant()[..10];
#pragma warning restore CA1308
        var home = Environment.IsPrivilegedProcess
            ? "/var/lib"
            : Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } xdg
                ? xdg
                : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "share");
        return new(System.IO.Path.Combine(home, "valuecanvas", checkout), isThrowaway: false);
    }

    public static DataDirectory Throwaway() =>
        new(System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"valuecanvas-{Guid.NewGuid():N}"[..24]), isThrowaway: true);

    /// <summary>Creates the directory and keeps every other AppHost out until disposal.</summary>
    public void Open()
    {
        try
        {
            Directory.CreateDirectory(Path, PassThrough);
            _lock = new FileStream(System.IO.Path.Combine(Path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            _lock.SetLength(0);
            _lock.Write(Encoding.UTF8.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
            _lock.Flush();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new DistributedApplicationException(
                $"The data directory {Path} cannot be written: {e.Message} Set {Variable} to a directory of your own.", e);
        }
        catch (IOException e) when (Directory.Exists(Path))
        {
            throw new DistributedApplicationException(
                $"Another AppHost runs on the data directory {Path}. Stop it, or set {Variable} to another directory.", e);
        }
    }

    public string For(string resource) => System.IO.Path.Combine(Path, resource);

    /// <summary>Lets others in and deletes what nobody keeps: after a test all, else the data of servers without a volume.</summary>
    public void Close(IEnumerable<IResource> withoutVolume)
    {
        if (_lock is null)
            return;

        Dispose();
        _lock = null;
        try
        {
            if (IsThrowaway)
                Directory.Delete(Path, recursive: true);
            else
                File.Delete(EndpointsFile);
            foreach (var directory in withoutVolume.Select(r => For(r.Name)).Where(Directory.Exists))
                Directory.Delete(directory, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // The watchdog was faster.
        }
        catch (IOException e)
        {
            Console.Error.WriteLine($"WARNING: {Path} could not be cleaned up: {e.Message}");
        }
    }

    public void Dispose() => _lock?.Dispose();

    // Without symbolic links, as /proc shows it.
    private static string Real(string path)
    {
        if (System.IO.Path.GetDirectoryName(path) is not { } parent)
            return path;

        var real = System.IO.Path.Combine(Real(parent), System.IO.Path.GetFileName(path));
        return Directory.Exists(real) && Directory.ResolveLinkTarget(real, returnFinalTarget: true) is { } target ? target.FullName : real;
    }
}
