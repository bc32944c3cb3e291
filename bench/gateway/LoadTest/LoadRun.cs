using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace ValueCanvas.GatewayBench.LoadTest;

/// <summary>Open loop: request i is sent when it is due, whether or not earlier ones are answered.</summary>
internal static class LoadRun
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task<LoadFigures> RunAsync(Mix mix, Uri address, string key, CancellationToken cancellationToken)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address, Timeout = Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        var requests = (int)(mix.Seconds * mix.RequestsPerSecond);
        var results = new ConcurrentBag<(double Milliseconds, bool Answered, bool Hit)>();
        var running = new List<Task>(requests);
        var started = Stopwatch.GetTimestamp();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        for (var i = 0; i < requests; i++)
        {
            while (Stopwatch.GetElapsedTime(started).TotalSeconds < i / mix.RequestsPerSecond)
                await tick.WaitForNextTickAsync(cancellationToken);

            var body = mix.Body(i);
            running.Add(Task.Run(async () => results.Add(await SendAsync(client, body, cancellationToken)), cancellationToken));
        }

        await Task.WhenAll(running);
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var latencies = results.Select(result => result.Milliseconds).Order().ToArray();
        return new LoadFigures(
            requests,
            Math.Round(results.Count(result => result.Answered) / elapsed, 1),
            Math.Round(latencies[latencies.Length / 2], 1),
            Math.Round(latencies[(int)(latencies.Length * 0.95)], 1),
            Math.Round(latencies[(int)(latencies.Length * 0.99)], 1),
            (double)results.Count(result => !result.Answered) / requests,
            (double)results.Count(result => result.Hit) / requests,
            1 - ((double)Enumerable.Range(0, requests).Select(mix.Rank).Distinct().Count() / requests));
    }

    private static async Task<(double Milliseconds, bool Answered, bool Hit)> SendAsync(
        HttpClient client, string body, CancellationToken cancellationToken)
    {
        var sent = Stopwatch.GetTimestamp();
        var (answered, hit) = (false, false);
        try
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await client.PostAsync(new Uri("/api/llm/chat", UriKind.Relative), content, cancellationToken);
            using var answer = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken));
            answered = response.IsSuccessStatusCode;
            hit = answered && answer.RootElement.GetProperty("data").GetProperty("cached").GetBoolean();
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or IOException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // An error, as far as the client is concerned.
        }

        return (Stopwatch.GetElapsedTime(sent).TotalMilliseconds, answered, hit);
    }
}
