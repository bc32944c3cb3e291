using System.Net.Sockets;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching;

/// <summary>A TCP proxy that can hold everything back, as a server does that is stopped with SIGSTOP: connections stand.</summary>
internal sealed class FreezingProxy(string host, int port) : TcpFaultProxy(host, port)
{
    private volatile TaskCompletionSource? _frozen;

    public void Freeze()
    {
        if (_frozen is not { Task.IsCompleted: false })
            _frozen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public void Thaw() => _frozen?.TrySetResult();

    protected override async Task<bool> PassAsync(
        ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
    {
        if (_frozen is { } frozen)
            await frozen.Task.WaitAsync(stop);
        await to.GetStream().WriteAsync(bytes, stop);
        return true;
    }
}
