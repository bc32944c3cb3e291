using System.Net;
using System.Net.Sockets;
using System.Text;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>HTTP/1.1 by hand: a client that costs little and can tell when each byte came.</summary>
internal static class HttpBytes
{
    public static byte[] Request(Target target, byte[] body)
    {
        var head = new StringBuilder(
            $"POST {target.Route} HTTP/1.1\r\nHost: 127.0.0.1:{target.Port}\r\n"
            + "Content-Type: application/json\r\n");
        foreach (var (name, value) in target.Headers)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }

        head.Append("Content-Length: ").Append(body.Length).Append("\r\n\r\n");
        return [.. Encoding.ASCII.GetBytes(head.ToString()), .. body];
    }

    public static async Task<Socket> ConnectAsync(int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
        return socket;
    }

    /// <summary>Whether these bytes are a whole response.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> bytes)
    {
        var head = bytes.IndexOf("\r\n\r\n"u8);
        if (head < 0)
        {
            return false;
        }

        var line = Encoding.ASCII.GetString(bytes[..head]).Split("\r\n")
            .FirstOrDefault(l => l.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase));
        return line is not null
            ? bytes.Length - head - 4 >= int.Parse(line.AsSpan(15).Trim(), System.Globalization.CultureInfo.InvariantCulture)
            : bytes.EndsWith("0\r\n\r\n"u8);
    }
}
