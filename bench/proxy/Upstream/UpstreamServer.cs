using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.ProxyBench.Upstream;

/// <summary>
/// The model server behind every target: answers a chat completion at once with a fixed one, or with a paced stream where the body asks for
/// it, and takes any other POST (telemetry) for good. It does as little as can be done, so that it is not what is measured.
/// </summary>
internal sealed class UpstreamServer : IDisposable
{
    private readonly PacedStreams _streams = new();

    /// <summary>Listens on two addresses of the machine itself, so that it can be two replicas.</summary>
    public Task RunAsync(int port, CancellationToken cancellationToken) => Task.WhenAll(
        ListenAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken),
        ListenAsync(new IPEndPoint(IPAddress.Parse("127.0.0.2"), port), cancellationToken));

    public void Dispose() => _streams.Dispose();

    private async Task ListenAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(address);
        listener.Listen(2048);
        while (true)
        {
            var socket = await listener.AcceptAsync(cancellationToken);
            socket.NoDelay = true;
            _ = ServeAsync(socket);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        PacedStream? stream = null;
        try
        {
            var buffer = new byte[64 * 1024];
            var held = 0;
            while (true)
            {
                var end = buffer.AsSpan(0, held).IndexOf("\r\n\r\n"u8);
                if (end < 0)
                {
                    held += await ReadAsync(socket, buffer.AsMemory(held));
                    continue;
                }

                var (length, answer, chat) = Read(buffer.AsSpan(0, end + 2));
                end += 4;
                // Holds the whole body of a stream, whose fields a gateway may have put in another order.
                var wanted = Math.Min(end + length, end + 4096);
                while (held < wanted)
                    held += await ReadAsync(socket, buffer.AsMemory(held));

                var streamed = chat && buffer.AsSpan(end, wanted - end).IndexOf("\"stream\":true"u8) >= 0;
                var verbose = streamed && buffer.AsSpan(end, wanted - end).IndexOf("\"return_token_ids\":true"u8) >= 0;
                var total = end + length;
                while (held < total)
                {
                    // The rest of a long body goes over what was read of it.
                    var at = Math.Min(held, buffer.Length / 2);
                    var read = await ReadAsync(socket, buffer.AsMemory(at, Math.Min(buffer.Length - at, total - held)));
                    held += read;
                }

                held -= total;
                if (held > 0)
                    buffer.AsSpan(total, held).CopyTo(buffer);

                if (streamed)
                    stream = _streams.Start(socket, verbose);
                else
                    socket.Send(answer);
            }
        }
        catch (Exception e) when (e is SocketException or EndOfStreamException or ObjectDisposedException)
        {
            // The peer has gone.
        }
        finally
        {
            stream?.Abandon();
            socket.Dispose();
        }
    }

    private static async ValueTask<int> ReadAsync(Socket socket, Memory<byte> into)
    {
        var read = await socket.ReceiveAsync(into, SocketFlags.None);
        return read > 0 ? read : throw new EndOfStreamException();
    }

    private static (int Length, byte[] Answer, bool Chat) Read(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith("GET "u8))
        {
            var answer = head.StartsWith("GET /v1/models"u8) ? Answers.Models : head.StartsWith("GET /metrics"u8) ? Answers.Metrics
                : Answers.Empty;
            return (0, answer, false);
        }

        if (Length(head) is not { } length)
            return (0, Answers.LengthRequired, false);

        var chat = head.StartsWith("POST /v1/chat/completions "u8);
        return (length, chat ? Answers.Chat : Answers.Empty, chat);
    }

    private static int? Length(ReadOnlySpan<byte> head)
    {
        while (head.IndexOf("\r\n"u8) is >= 0 and var end)
        {
            var line = head[..end];
            if (line.Length > 15 && line[14] == ':' && System.Text.Ascii.EqualsIgnoreCase(line[..14], "content-length"u8))
                return Utf8Parser.TryParse(line[15..].TrimStart((byte)' '), out int length, out _) ? length : null;

            head = head[(end + 2)..];
        }

        return null;
    }
}
