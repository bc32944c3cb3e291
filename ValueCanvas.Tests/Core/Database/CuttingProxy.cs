using System.Net.Sockets;
using System.Text;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>
/// A TCP proxy that, armed, lets a client's COMMIT, or another statement that commits by itself, through to PostgreSQL and cuts the
/// connection before the answer comes back.
/// </summary>
internal sealed class CuttingProxy(string host, int port, string statement = "COMMIT") : TcpFaultProxy(host, port)
{
    private readonly byte[] _statement = Encoding.UTF8.GetBytes(statement);
    private int _armed;

    /// <summary>How many commits were cut.</summary>
    public int Cuts { get; private set; }

    public void Arm() => Interlocked.Exchange(ref _armed, 1);

    protected override async Task<bool> PassAsync(
        ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
    {
        var cut = fromClient && bytes.Span.IndexOf(_statement) >= 0 && Interlocked.Exchange(ref _armed, 0) == 1;
        if (cut)
        {
            // Gone for the client first, so that no answer can reach it.
            from.Client.Close(0);
            Cuts++;
        }

        await to.GetStream().WriteAsync(bytes, stop);
        if (cut)
        {
            // The server ends the connection once it has seen the end of ours, the commit before it.
            to.Client.Shutdown(SocketShutdown.Send);
            var rest = new byte[1024];
            while (await to.GetStream().ReadAsync(rest, stop) > 0)
            {
            }
        }

        return !cut;
    }
}
