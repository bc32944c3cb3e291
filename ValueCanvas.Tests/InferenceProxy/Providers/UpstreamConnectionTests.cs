using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy.Providers;

/// <summary>
/// When a stream's reader may wait on the connection: only where something must still come and nothing is left in between.
/// </summary>
public sealed class UpstreamConnectionTests : IAsyncLifetime
{
    private const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    private const string Last = "0\r\n\r\n";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly UpstreamClient _client = new(Options.Create(new InferenceOptions()));
    private readonly UpstreamConnection.Link _link = new();
    private readonly byte[] _buffer = new byte[4096];
    private Stream _server = Stream.Null;
    private Stream _answer = Stream.Null;

    private static CancellationToken Stopped => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _listener.Start();
        using var request = new ReplicaRequest(HttpMethod.Post, new Uri($"http://{_listener.LocalEndpoint}/"))
        {
            Content = new ForwardedBody("{}"u8.ToArray(), [], _link),
        };
        var answering = _client.SendAsync(request, Stopped);
        _server = new NetworkStream(await _listener.AcceptSocketAsync(Stopped), ownsSocket: true);
        string received;
        do
        {
            received = Encoding.ASCII.GetString(_buffer.AsSpan(0, await _server.ReadAsync(_buffer, Stopped)));
        }
        while (!received.EndsWith("{}", StringComparison.Ordinal));

        await SendAsync(Head + Chunk("data: 1\n\n"));
        _answer = await (await answering).Content.ReadAsStreamAsync(Stopped);
        Assert.Equal("data: 1\n\n", await ReadAsync());
    }

    [Fact]
    public async Task WholeEvent_WaitsForTheNext()
    {
        await ReadPendingAsync("data: 2\n\n");

        Assert.True(_link.Connection!.CanWait);
        var wait = _link.Connection.WaitAsync(Stopped).AsTask();
        Assert.False(wait.IsCompleted);
        await SendAsync(Chunk("data: 3\n\n"));
        await wait.WaitAsync(TimeSpan.FromSeconds(30), Stopped);
        var reading = _answer.ReadAsync(_buffer, Stopped);
        Assert.True(reading.IsCompleted); // what the wait is for
        Assert.Equal("data: 3\n\n", Encoding.ASCII.GetString(_buffer.AsSpan(0, await reading)));
        Assert.True(_link.Connection.CanWait);
    }

    [Theory]
    [InlineData("data: 2\n\n", Last)] // nothing comes any more, and the connection is another request's
    [InlineData("data: 2\n\n", "0\r\nchecksum: 1\r\n\r\n")]
    [InlineData("data: 2\n\n", "5\r\nda")] // the buffer holds a part of what comes next
    [InlineData("data: 2", "")]
    [InlineData("data: 2\n", "")]
    public async Task MoreOrLessThanAnEvent_DoesNotWait(string data, string behind)
    {
        await ReadPendingAsync(data, behind);

        Assert.False(_link.Connection!.CanWait);
    }

    [Fact]
    public async Task EndWhileWaiting_EndsTheWait()
    {
        await ReadPendingAsync("data: 2\n\n");
        var wait = _link.Connection!.WaitAsync(Stopped).AsTask();

        await SendAsync(Last);

        await wait.WaitAsync(TimeSpan.FromSeconds(30), Stopped);
        Assert.Equal("", await ReadAsync());
        Assert.False(_link.Connection.CanWait);
    }

    [Fact]
    public async Task CutWhileWaiting_IsTheReadsToTell()
    {
        await ReadPendingAsync("data: 2\n\n");
        var wait = _link.Connection!.WaitAsync(Stopped).AsTask();

        await _server.DisposeAsync();

        await wait.WaitAsync(TimeSpan.FromSeconds(30), Stopped);
        await Assert.ThrowsAnyAsync<IOException>(ReadAsync);
    }

    [Fact]
    public async Task NextRequestOnTheConnection_TakesItFromTheLast()
    {
        await ReadPendingAsync("data: 2\n\n", Last);
        Assert.Equal("", await ReadAsync());
        using var request = new ReplicaRequest(HttpMethod.Post, new Uri($"http://{_listener.LocalEndpoint}/"))
        {
            Content = new ForwardedBody("{}"u8.ToArray(), []),
        };
        var answering = _client.SendAsync(request, Stopped);
        Assert.True(await _server.ReadAsync(_buffer, Stopped) > 0); // the same connection

        await SendAsync(Head + Chunk("data: 1\n\n"));
        _answer = await (await answering).Content.ReadAsStreamAsync(Stopped);
        Assert.Equal("data: 1\n\n", await ReadAsync());

        Assert.Null(_link.Connection);
    }

    public async ValueTask DisposeAsync()
    {
        await _answer.DisposeAsync();
        await _server.DisposeAsync();
        _client.Dispose();
        _listener.Dispose();
    }

    private static string Chunk(string data) => $"{data.Length:x}\r\n{data}\r\n";

    private ValueTask SendAsync(string text) => _server.WriteAsync(Encoding.ASCII.GetBytes(text), Stopped);

    /// <summary>Reads a chunk that comes while it is waited for.</summary>
    private async Task ReadPendingAsync(string data, string behind = "")
    {
        var reading = ReadAsync();
        Assert.False(reading.IsCompleted);
        await SendAsync(Chunk(data) + behind);
        Assert.Equal(data, (await reading.WaitAsync(TimeSpan.FromSeconds(30), Stopped)).TrimEnd('\0')[..data.Length]);
    }

    private async Task<string> ReadAsync() => Encoding.ASCII.GetString(_buffer.AsSpan(0, await _answer.ReadAsync(_buffer, Stopped)));
}
