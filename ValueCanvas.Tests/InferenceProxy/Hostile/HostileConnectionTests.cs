using System.Net.Sockets;
using System.Text;

namespace ValueCanvas.Tests.InferenceProxy.Hostile;

/// <summary>What no client library sends: announced and endless bodies, slow senders and readers, and heads that mean two things.</summary>
[Collection(nameof(Hostile))]
public sealed class HostileConnectionTests(HostileProxy proxy)
{
    private const string Post = "POST /v1/chat/completions HTTP/1.1\nHost: x\nContent-Type: application/json\n";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task HundredMegabytes_Announced_AreRefusedUnread()
    {
        await proxy.StartedAsync();
        using var client = await proxy.ConnectAsync(Post + "Content-Length: 104857600\n\n{\"model\":");

        AssertError(await AnswerAsync(client), 413);
    }

    [Fact]
    public async Task HundredMegabytes_InChunks_AreRefusedAtTheLimit()
    {
        await proxy.StartedAsync();
        using var client = await proxy.ConnectAsync(Post + "Transfer-Encoding: chunked\n\n");
        var stream = client.GetStream();
        var answer = AnswerAsync(client);
        var chunk = Encoding.ASCII.GetBytes("10000\r\n" + new string(' ', 0x10000) + "\r\n");
        var sent = 0;
        try
        {
            while (!answer.IsCompleted && sent < 1600)
            {
                await stream.WriteAsync(chunk, Cancel);
                sent++;
            }
        }
        catch (IOException)
        {
            // The proxy has closed the connection.
        }

        AssertError(await answer, 413);
        Assert.InRange(sent, 500, 800); // 64 KiB each: the limit of 32 MiB, and what lies in the buffers of both sides
    }

    [Fact]
    public async Task SlowSenders_OfBodyAndHead_AreSentAway()
    {
        await proxy.StartedAsync();
        var clients = await Task.WhenAll(
            [.. Enumerable.Range(0, 20).Select(_ => proxy.ConnectAsync(Post + "Content-Length: 1000\n\n{")), proxy.ConnectAsync(
                "POST /v1/chat/comple")]);
        var answers = clients.Select(AnswerAsync).ToArray();
        using var second = new PeriodicTimer(TimeSpan.FromSeconds(1));
        for (var i = 0; i < 20 && !answers.All(a => a.IsCompleted); i++)
        {
            await second.WaitForNextTickAsync(Cancel);
            foreach (var client in clients[..^1])
                await Record.ExceptionAsync(async () => await client.GetStream().WriteAsync(" "u8.ToArray(), Cancel));
        }

        foreach (var answer in answers[..^1])
            AssertError(await answer, 408);

        Assert.StartsWith("HTTP/1.1 408", await answers[^1]);
        Array.ForEach(clients, client => client.Dispose());
    }

    [Theory]
    [InlineData("Content-Length: 19\nContent-Length: 5\n\n{\"model\":\"default\"}")]
    [InlineData("Content-Length: -1\n\n")]
    [InlineData("Content-Length: 99999999999999999999\n\n")]
    [InlineData("Transfer-Encoding: chunked\n\nZZ\n")]
    [InlineData("Transfer-Encoding: xchunked\n\n0\n\n")]
    [InlineData("X: a\0b\nContent-Length: 0\n\n")]
    public async Task Head_ThatMakesNoSense_Is400(string rest)
    {
        await proxy.StartedAsync();
        using var client = await proxy.ConnectAsync(Post + rest);

        Assert.StartsWith("HTTP/1.1 400", await AnswerAsync(client));
    }

    [Fact]
    public async Task LengthAndChunks_InOneHead_SmuggleNothingToTheReplica()
    {
        await proxy.StartedAsync();
        using var client = await proxy.ConnectAsync(Post
            + "Content-Length: 4\nTransfer-Encoding: chunked\n\n13\n{\"model\":\"default\"}\n0\n\n"
            + "GET /smuggled HTTP/1.1\nHost: x\nConnection: close\n\n");
        var answer = await AnswerAsync(client);

        Assert.DoesNotContain("HTTP/1.1 5", answer);
        Assert.DoesNotContain(proxy.Received, request => request.Path.Contains("smuggled") || request.Text.Contains("smuggled"));
        Assert.All(proxy.Received.Where(request => request.Text.Length == 19), request =>
        {
            Assert.Equal("19", request.Headers["Content-Length"]);
            Assert.DoesNotContain("Transfer-Encoding", request.Headers.Keys);
        });
    }

    [Fact]
    public async Task Header_OfAMegabyte_Is431()
    {
        await proxy.StartedAsync();
        using var client = await proxy.ConnectAsync(Post);
        await Record.ExceptionAsync(
            async () => await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes("X: " + new string('x', 1_000_000)), Cancel));

        Assert.StartsWith("HTTP/1.1 431", await AnswerAsync(client));
    }

    /// <summary>All that comes until the end, at most twenty-five seconds.</summary>
    private static async Task<string> AnswerAsync(TcpClient client)
    {
        using var text = new MemoryStream();
        var buffer = new byte[16 * 1024];
        var stream = client.GetStream();
        try
        {
            while (await stream.ReadAsync(buffer, Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(25), Cancel) is > 0 and var read)
                text.Write(buffer, 0, read);
        }
        catch (IOException)
        {
            // Reset behind the answer.
        }

        return Encoding.Latin1.GetString(text.ToArray());
    }

    private static void AssertError(string answer, int status)
    {
        Assert.StartsWith($"HTTP/1.1 {status} ", answer);
        Assert.Contains("\"error\":{\"message\":", answer);
    }
}
