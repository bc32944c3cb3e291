using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Chaos.Faults;

/// <summary>
/// A TCP proxy in front of PostgreSQL: it lets a certain statement through, which commits by itself, and keeps the answer, so that what has
/// committed can be killed before it knows.
/// </summary>
internal sealed class HoldingProxy(string host, int port, string statement) : TcpFaultProxy(host, port)
{
    private readonly byte[] _statement = Encoding.UTF8.GetBytes(statement);
    private readonly ConcurrentDictionary<TcpClient, bool> _committing = new();
    private readonly TaskCompletionSource _committed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>PostgreSQL has committed, and nobody has heard of it.</summary>
    public Task Committed => _committed.Task;

    protected override async Task<bool> PassAsync(
        ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
    {
        if (fromClient && bytes.Span.IndexOf(_statement) >= 0)
            _committing[from] = true;
        if (!fromClient && _committing.ContainsKey(to))
        {
            _committed.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stop);
        }

        await to.GetStream().WriteAsync(bytes, stop);
        return true;
    }
}
