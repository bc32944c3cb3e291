using System.Collections.Concurrent;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>
/// An HTTP/1.1 client that does what a proxy needs of one, and nothing else: a request leaves in one send, an answer's bytes are read straight
/// into the reader's buffer. Failures are those of <see cref="SocketsHttpHandler"/>. An answer that is dropped before its end closes its
/// connection at once. A request is repeated by itself only where the server cannot have seen it: an idle connection was closed meanwhile.
/// </summary>
internal sealed class Http1Client(TimeSpan connectTimeout, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan TrimInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWaitToContinue = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(string Host, int Port), Http1Pool> _pools = new();
    private readonly Lock _starting = new();
    private ITimer? _trim;

    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var pool = Pool(request.RequestUri!);
        if (pool.Take(cancellationToken) is { } idle)
        {
            if (await ExchangeAsync(idle, request, cancellationToken) is { } response)
            {
                return response;
            }
        }

        var connection = await pool.ConnectAsync(cancellationToken);
        return await ExchangeAsync(connection, request, cancellationToken) ?? throw new HttpRequestException("The connection broke.");
    }

    public void Dispose()
    {
        _trim?.Dispose();
        foreach (var pool in _pools.Values)
        {
            pool.Dispose();
        }
    }

    /// <summary>The answer, or null where the connection was closed before anything of the request went out.</summary>
    private async Task<HttpResponseMessage?> ExchangeAsync(Http1Connection connection, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var output = new Http1RequestStream(connection);
        var head = new Http1ResponseHead(connection);
        try
        {
            output.WriteHead(request);
            var status = 0;
            if (request.Headers.ExpectContinue == true)
            {
                await output.FlushAsync(cancellationToken);
                status = await MayContinueAsync(head, cancellationToken);
            }

            if (status == 0)
            {
                if (request.Content is { } content)
                {
                    await content.CopyToAsync(output, cancellationToken);
                }

                await output.FlushAsync(cancellationToken);
            }

            var response = new HttpResponseMessage { RequestMessage = request };
            response.Content = await head.ReadAsync(response, reusable: status == 0 && !output.IsBroken, cancellationToken);
            return response;
        }
        catch (SocketException) when (!output.HasSent)
        {
            connection.Dispose();
            return null;
        }
        catch (SocketException e)
        {
            connection.Dispose();
            throw new HttpRequestException("The connection broke.", e);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Zero: the server wants the body, or has not said so for long. Else the status that it has answered with instead.</summary>
    private async Task<int> MayContinueAsync(Http1ResponseHead head, CancellationToken cancellationToken)
    {
        var status = head.ReadStatusAsync(cancellationToken);
        try
        {
            return await status.WaitAsync(LongestWaitToContinue, time, cancellationToken) is var said and not 100 ? said : 0;
        }
        catch (TimeoutException)
        {
            return 0; // the reading goes on
        }
    }

    private Http1Pool Pool(Uri address)
    {
        var key = (address.IdnHost, address.Port);
        if (_pools.TryGetValue(key, out var pool))
        {
            return pool;
        }

        lock (_starting)
        {
            _trim ??= time.CreateTimer(static client => ((Http1Client)client!).Trim(), this, TrimInterval, TrimInterval);
        }

        return _pools.GetOrAdd(key, _ => new Http1Pool(key.IdnHost, key.Port, connectTimeout, time));
    }

    private void Trim()
    {
        foreach (var pool in _pools.Values)
        {
            pool.Trim();
        }
    }
}
