using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.ServiceDefaults.Sockets;

/// <summary>
/// What waits for a socket goes on, up to the next wait, on the thread that polls the sockets: for short steps a hop to the thread pool costs
/// more than the step itself. Steps that are not short take that hop by themselves, and nothing may wait there without await.
/// </summary>
public static class InlineSockets
{
    private const string Switch = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Has Kestrel and all clients of this process do so, and Kestrel receive in larger blocks. Comes before anything opens a socket.</summary>
    public static void UseInlineSockets(this WebApplicationBuilder builder)
    {
        // The runtime reads the switch with the process's first socket, and for all of them: not where another program hosts the service.
        if (Assembly.GetEntryAssembly()?.GetName().Name == builder.Environment.ApplicationName && Environment.GetEnvironmentVariable(Switch) is null)
            Environment.SetEnvironmentVariable(Switch, "1");

        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, SocketBlocks>();
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
    }
}
