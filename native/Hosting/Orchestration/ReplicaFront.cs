using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// The one address of a project's replicas, as Aspire's orchestrator has it. A new connection goes to the healthy
/// replica that has the fewest; where none is healthy, to one that runs. A replica that is stopping gets no more, and
/// keeps those that it has for as long as it lives.
/// </summary>
internal sealed class ReplicaFront : IDisposable
{
    private const int BufferSize = 16 * 1024;

    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(10);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Socket> _listeners = [];
    private readonly Replica[] _replicas;
    private int _turn;

    /// <param name="port">Of this address.</param>
    /// <param name="replicas">Each one's port, and how it is.</param>
    public ReplicaFront(int port, IEnumerable<(int Port, Func<ReplicaState> State)> replicas)
    {
        _replicas = [.. replicas.Select(replica => new Replica(replica.Port, replica.State))];
        try
        {
            Listen(IPAddress.Loopback, port);
            if (Socket.OSSupportsIPv6)
                Listen(IPAddress.IPv6Loopback, port);
        }
        catch
        {
            Dispose();
            throw;
        }

        foreach (var listener in _listeners)
            _ = AcceptAsync(listener);
    }

    public void Dispose()
    {
        _stop.Cancel();
        foreach (var listener in _listeners)
            listener.Dispose();
    }

    private void Listen(IPAddress address, int port)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(address, port));
            listener.Listen(512);
            _listeners.Add(listener);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            // A machine may know of IPv6 and have no such address.
            if (e.SocketErrorCode != SocketError.AddressNotAvailable)
                throw new DistributedApplicationException($"Port {port} cannot be listened on: {e.Message}", e);
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(_stop.Token).ConfigureAwait(false));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // It went before it was taken, or there are no more files to open.
                await Task.Delay(AfterFailure, TimeProvider.System).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var open = client;
        client.NoDelay = true;
        HashSet<Replica> tried = [];
        while (Take(tried) is { } replica)
        {
            try
            {
                using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                if (!await TryConnectAsync(server, replica.Port).ConfigureAwait(false))
                {
                    tried.Add(replica);
                    continue;
                }

                await PassAsync(client, server).ConfigureAwait(false);
                return;
            }
            finally
            {
                Interlocked.Decrement(ref replica.Connections);
            }
        }
    }

    /// <summary>The best one that was not tried; its connection is counted.</summary>
    private Replica? Take(HashSet<Replica> tried)
    {
        lock (_gate)
        {
            var turn = _turn++ & int.MaxValue;
            var best = Enumerable.Range(0, _replicas.Length)
                .Select(i => _replicas[(turn + i) % _replicas.Length])
                .Where(replica => !tried.Contains(replica) && replica.State() != ReplicaState.Away)
                .MinBy(replica => (replica.State() == ReplicaState.Healthy ? 0 : 1, Volatile.Read(ref replica.Connections)));
            if (best is not null)
                Interlocked.Increment(ref best.Connections);
            return best;
        }
    }

    private async Task<bool> TryConnectAsync(Socket server, int port)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        bound.CancelAfter(ConnectPatience);
        try
        {
            await server.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), bound.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task PassAsync(Socket client, Socket server)
    {
        var up = PumpAsync(client, server, discards: true);
        var down = PumpAsync(server, client, discards: false);
        if (await Task.WhenAny(up, down).ConfigureAwait(false) == up)
        {
            // The client has said all: what the replica still says it hears, unless it is gone.
            if (await up.ConfigureAwait(false))
                await down.ConfigureAwait(false);
        }
        else if (await down.ConfigureAwait(false))
        {
            // The replica has: what the client still sends is taken, for a connection that is cut would cost it the end of its answer.
            await Task.WhenAny(up, Task.Delay(Linger, TimeProvider.System, _stop.Token)).ConfigureAwait(false);
        }
    }

    /// <summary>True: it came to its end, and the other side knows. False: one of the two is gone.</summary>
    private async Task<bool> PumpAsync(Socket from, Socket to, bool discards)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            var isOpen = true;
            while (await from.ReceiveAsync(buffer, SocketFlags.None, _stop.Token).ConfigureAwait(false) is > 0 and var read)
            {
                isOpen = isOpen && await TrySendAsync(to, buffer.AsMemory(0, read)).ConfigureAwait(false);
                if (!isOpen && !discards)
                    return false;
            }

            if (isOpen)
                to.Shutdown(SocketShutdown.Send);
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task<bool> TrySendAsync(Socket to, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0)
                bytes = bytes[await to.SendAsync(bytes, SocketFlags.None, _stop.Token).ConfigureAwait(false)..];
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private sealed class Replica(int port, Func<ReplicaState> state)
    {
        public int Connections;

        public int Port => port;

        public ReplicaState State() => state();
    }
}

internal enum ReplicaState
{
    /// <summary>It does not run, or is about to stop.</summary>
    Away,
    Running,
    Healthy,
}
