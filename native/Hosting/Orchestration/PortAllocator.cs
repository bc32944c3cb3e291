using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Aspire.Hosting.Orchestration;

/// <summary>Finds free ports, and says who wants one that is taken.</summary>
internal static class PortAllocator
{
    // Below the range from which the kernel takes the ports of outgoing connections, so that none of those gets in between.
    private const int First = 12000;
    private const int Last = 32000;

    private static readonly Lock Gate = new();
    private static readonly HashSet<int> Given = [];

    public static int Free()
    {
        lock (Gate)
        {
            for (var attempt = 0; attempt < 1000; attempt++)
            {
                var port = RandomNumberGenerator.GetInt32(First, Last);
                if (!Given.Contains(port) && IsFree(port))
                {
                    Given.Add(port);
                    return port;
                }
            }
        }

        throw new DistributedApplicationException($"No free port was found between {First} and {Last}.");
    }

    public static int Fixed(int port, string owner, string remedy) => IsFree(port)
        ? port
        : throw new DistributedApplicationException($"Port {port} is in use already, and {owner} needs it. {remedy}");

    public static void Return(IEnumerable<int> ports)
    {
        lock (Gate)
            Given.ExceptWith(ports);
    }

    public static bool IsFree(int port) =>
        CanListen(IPAddress.Loopback, port) && (!Socket.OSSupportsIPv6 || CanListen(IPAddress.IPv6Loopback, port));

    private static bool CanListen(IPAddress address, int port)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, port));
            socket.Listen(1);
            return true;
        }
        catch (SocketException e)
        {
            // A machine may know of IPv6 and have no such address.
            return e.SocketErrorCode == SocketError.AddressNotAvailable;
        }
    }
}
