using System.Runtime.InteropServices;

namespace Aspire.Hosting.Orchestration;

internal static partial class Signals
{
    public const int Interrupt = 2;
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;

    public static void Send(int processId, int signal) => _ = SendSignal(processId, signal);

    /// <summary>Sends to the process and to all that it started in its group.</summary>
    public static void SendToGroup(int processId, int signal) => _ = SendSignal(-processId, signal);

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SendSignal(int processId, int signal);
}
