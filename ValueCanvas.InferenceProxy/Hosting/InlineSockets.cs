using System.Reflection;
using Microsoft.AspNetCore.Connections;

namespace ValueCanvas.InferenceProxy.Hosting;

/// <summary>
/// What waits for a socket goes on, up to the next wait, on the thread that polls the sockets: for the proxy's short steps a hop to the
/// thread pool costs more than the step itself. Steps that are not short take that hop by themselves, see
/// <see cref="Forwarding.RequestBody"/>.
/// </summary>
internal static class InlineSockets
{
    private const string Switch = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    public static void UseInlineSockets(this WebApplicationBuilder builder)
    {
        // The runtime reads the switch with the process's first socket, and for all of them: not where another program hosts the proxy.
        if (Assembly.GetEntryAssembly() == typeof(InlineSockets).Assembly && Environment.GetEnvironmentVariable(Switch) is null)
        {
            Environment.SetEnvironmentVariable(Switch, "1");
        }

        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, SocketBlocks>();
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
    }
}
