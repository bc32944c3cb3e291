using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>The connections to one server: as many as there are requests at the same time; those that idle are kept for a while.</summary>
internal sealed class Http1Pool(string host, int port, TimeSpan connectTimeout, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan LongestIdle = TimeSpan.FromMinutes(1);

    // The host's name may come to mean another server.
    private static readonly TimeSpan LongestLife = TimeSpan.FromMinutes(5);

    private readonly IPAddress? _literal = IPAddress.TryParse(host, out var literal) ? literal : null;
    private readonly Lock _gate = new();
    private readonly List<Http1Connection> _idle = []; // taken from and put at the end, so that what is too much stays at the start
    private bool _closed;

    /// <summary>An idle connection that listens, or null.</summary>
    public Http1Connection? Take(CancellationToken cancellationToken)
    {
        while (true)
        {
            Http1Connection connection;
            lock (_gate)
            {
                if (_idle.Count == 0)
                {
                    return null;
                }

                connection = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
            }

            if (connection.TryListen(cancellationToken))
            {
                return connection;
            }

            connection.Dispose();
        }
    }

    public async Task<Http1Connection> ConnectAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(connectTimeout);
        var error = HttpRequestError.NameResolutionError;
        Socket? socket = null;
        try
        {
            var addresses = _literal is null ? await Dns.GetHostAddressesAsync(host, limit.Token) : [_literal];
            error = HttpRequestError.ConnectionError;
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(addresses, port, limit.Token);
            var connection = new Http1Connection(this, socket, time.GetTimestamp());
            connection.TryListen(cancellationToken); // a server that closes at once is found when the answer is read
            return connection;
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            socket?.Dispose();
            throw new HttpRequestException(error, "No connection to the server.", e);
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    public void Return(Http1Connection connection)
    {
        connection.Idle = time.GetTimestamp();
        lock (_gate)
        {
            if (!_closed && time.GetElapsedTime(connection.Opened, connection.Idle) < LongestLife)
            {
                _idle.Add(connection);
                return;
            }
        }

        connection.Dispose();
    }

    /// <summary>Closes what has idled too long or was closed by the server.</summary>
    public void Trim()
    {
        Http1Connection[] old;
        lock (_gate)
        {
            old = [.. _idle.Where(c => time.GetElapsedTime(c.Idle) > LongestIdle || c.IsStale)];
            _idle.RemoveAll(old.Contains);
        }

        Array.ForEach(old, connection => connection.Dispose());
    }

    public void Dispose()
    {
        Http1Connection[] all;
        lock (_gate)
        {
            _closed = true;
            all = [.. _idle];
            _idle.Clear();
        }

        Array.ForEach(all, connection => connection.Dispose());
    }
}
