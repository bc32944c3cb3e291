using System.Text;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Hostile;

public sealed class SlowReaderTests
{
    private const int Readers = 10;

    [Fact]
    public async Task Readers_ThatDoNotRead_HoldTheServerBackAndNotTheMemory()
    {
        var cancel = TestContext.Current.CancellationToken;
        // Made once: thousands of large strings would keep the collector of this whole process busy.
        var content = new string('x', 64 * 1024);
        var chunk = Encoding.ASCII.GetBytes(
            $$"""data: {"choices":[{"index":0,"delta":{"content":"{{content}}"},"finish_reason":null}]}""" + "\n\n");
        var sent = 0L;
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            context.Response.ContentType = "text/event-stream";
            // A write to somebody who has gone succeeds at once: this loop would never leave the threads to those who can tell it so, and
            // the pool of all the tests would stand still.
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.BodyWriter.WriteAsync(chunk, context.RequestAborted);
                Interlocked.Add(ref sent, chunk.Length);
                await Task.Yield();
            }
        });
        await using var proxy = await ServiceProcess.StartProxyAsync([replica.Address]);
        using var client = new HttpClient { BaseAddress = proxy.Address };
        var responses = new List<HttpResponseMessage>();
        for (var i = 0; i < Readers; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = new StringContent("""{"model":"default","stream":true}"""),
            };
            responses.Add(await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel));
        }

        // It stands still, here for half a second, when every buffer between the two ends is full.
        var (before, still) = (0L, 0);
        await ProxyHost.UntilAsync(() =>
        {
            var now = Interlocked.Read(ref sent);
            still = now == before && now > 0 ? still + 1 : 0;
            before = now;
            return Task.FromResult(still == 25);
        });

        Assert.InRange(before, 1, Readers * 24L * 1024 * 1024);
        Assert.InRange(proxy.PeakMemory, 0, 300L * 1024 * 1024);
        responses.ForEach(response => response.Dispose());
    }
}
