using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

public sealed class KilledProxyTests
{
    private const int Streams = 500;

    [Fact]
    public async Task ProxyKilled_UnderFiveHundredStreams_EveryClientSeesABrokenOne()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}""");
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        });
        await using var proxy = await ServiceProcess.StartProxyAsync([replica.Address]);
        using var client = new HttpClient { BaseAddress = proxy.Address, Timeout = TimeSpan.FromSeconds(60) };

        var begun = Enumerable.Range(0, Streams).Select(_ => new TaskCompletionSource()).ToArray();
        var streams = begun.Select(first => ReadAsync(client, first, cancel)).ToArray();
        await Task.WhenAll(begun.Select(first => first.Task)).WaitAsync(TimeSpan.FromSeconds(30), cancel);
        var providers = await client.GetFromJsonAsync<JsonElement>("/providers", cancel);
        var breaker = providers.GetProperty("providers")[0].GetProperty("replicas")[0].GetProperty("breakers").EnumerateArray().Single();
        Assert.Equal("closed", breaker.GetProperty("state").GetString());
        var killed = Stopwatch.GetTimestamp();
        await proxy.KillAsync();

        foreach (var (attempts, text, broken) in await Task.WhenAll(streams).WaitAsync(TimeSpan.FromSeconds(5), cancel))
        {
            Assert.True(broken);
            Assert.Equal("1", attempts);
            Assert.DoesNotContain("usage", text);
            Assert.Contains("\"content\":\"x\"", text);
            Assert.DoesNotContain("[DONE]", text);
        }

        TestContext.Current.SendDiagnosticMessage("all know after {0:0} ms", Stopwatch.GetElapsedTime(killed).TotalMilliseconds);
        Assert.Equal(Streams, replica.Received.Count);
        FaultTableTests.AssertDocumented("| proxy killed under 500 streams | part, broken | 1 | ≤ 5 s | gone with the proxy | none |");
    }

    private static async Task<(string Attempts, string Text, bool Broken)> ReadAsync(
        HttpClient client, TaskCompletionSource begun, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(FaultyPair.AskStream) };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        await using var stream = await response.Content.ReadAsStreamAsync(cancel);
        using var text = new MemoryStream();
        var buffer = new byte[4096];
        var broken = await Record.ExceptionAsync(async () =>
        {
            while (await stream.ReadAsync(buffer, cancel) is > 0 and var read)
            {
                text.Write(buffer, 0, read);
                begun.TrySetResult();
            }
        });
        return (response.Headers.GetValues("x-valuecanvas-attempts").Single(), System.Text.Encoding.UTF8.GetString(
            text.ToArray()), broken is HttpIOException or IOException);
    }
}
