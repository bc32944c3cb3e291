using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>
/// A TCP proxy that, armed, lets a client's COMMIT through to PostgreSQL and cuts the connection before the answer comes back.
/// </summary>
internal sealed class CuttingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly string _host;
    private readonly int _port;
    private readonly Task _accepting;
    private int _armed;

    public CuttingProxy(string host, int port)
    {
        _host = host;
        _port = port;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How many commits were cut.</summary>
    public int Cuts { get; private set; }

    public void Arm() => Interlocked.Exchange(ref _armed, 1);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var down = client;
        using var up = new TcpClient();
        try
        {
            await up.ConnectAsync(_host, _port, _stop.Token);
            await Task.WhenAny(PumpAsync(down, up, watch: true), PumpAsync(up, down, watch: false));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, bool watch)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            while (await from.GetStream().ReadAsync(buffer, _stop.Token) is > 0 and var read)
            {
                var cut = watch && buffer.AsSpan(0, read).IndexOf("COMMIT"u8) >= 0 && Interlocked.Exchange(ref _armed, 0) == 1;
                if (cut)
                {
                    // Gone for the client first, so that no answer can reach it.
                    from.Client.Close(0);
                    Cuts++;
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, read), _stop.Token);
                if (cut)
                {
                    // The server ends the connection once it has seen the end of ours, the commit before it.
                    to.Client.Shutdown(SocketShutdown.Send);
                    while (await to.GetStream().ReadAsync(buffer, _stop.Token) > 0)
                    {
                    }

                    return;
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
        }
    }
}
