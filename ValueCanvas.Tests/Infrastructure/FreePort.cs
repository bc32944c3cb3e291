using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>
/// A port on which nothing listens, for what is started later or never: below those that the kernel gives to outgoing connections, and
/// apart from those that native mode gives to services, so that nobody gets in between. No port is given twice.
/// </summary>
internal static class FreePort
{
    private const int First = 9000;
    private const int Count = 3000;

    private static int _next = Random.Shared.Next(Count);

    public static int Take()
    {
        while (true)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _next) % Count);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next one.
            }
        }
    }
}
