using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;
using ValueCanvas.VllmSimulator;

namespace ValueCanvas.Tests.VllmSimulator;

/// <summary>The simulator in this process on a real Kestrel and a free port; without delay unless a test turns it on.</summary>
internal sealed class SimulatorServer : IDisposable
{
    public const string Model = "meta-llama/Llama-3.1-8B-Instruct";
    private readonly WebApplication _app;

    private SimulatorServer(params (string Key, string Value)[] settings)
    {
        _app = SimulatorApp.Create(
        [
            "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=Warning",
                .. settings.Select(setting => $"--Simulator:{setting.Key}={setting.Value}"),
        ]);
        _app.Start();
        // A client that leaves does so at once: it reads nothing more first.
        Client = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0, ResponseDrainTimeout = TimeSpan.Zero })
        {
            BaseAddress = new Uri(_app.Urls.Single()),
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    public HttpClient Client { get; }

    public Uri Address => Client.BaseAddress!;

    public static SimulatorServer Start(params (string Key, string Value)[] settings) => new([("ZeroDelay", "true"), .. settings]);

    public static object[] User(string text) => [new { role = "user", content = text }];

    public async Task<(int Status, JsonElement Body)> PostAsync(string path, object body, string? fault = null)
    {
        using var response = await SendAsync(path, body, fault);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, JsonDocument.Parse(text).RootElement);
    }

    public async Task<JsonElement> OkAsync(string path, object body)
    {
        var (status, answer) = await PostAsync(path, body);
        Assert.True(status == 200, answer.ToString());
        return answer;
    }

    public Task<JsonElement> ChatAsync(object body) => OkAsync("/v1/chat/completions", body);

    public async Task<string> ContentAsync(object body) =>
        (await ChatAsync(body)).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    public async Task<HttpResponseMessage> SendAsync(string path, object body, string? fault = null,
        HttpCompletionOption until = HttpCompletionOption.ResponseContentRead, CancellationTokenSource? leave = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = body is string raw ? new StringContent(raw, Encoding.UTF8, "application/json") : JsonContent.Create(body);
        if (fault is not null)
            request.Headers.Add("x-simulator-fault", fault);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(leave?.Token ?? CancellationToken.None,
            TestContext.Current.CancellationToken);
        return await Client.SendAsync(request, until, both.Token);
    }

    /// <summary>The payloads of a stream's events, the closing [DONE] included.</summary>
    public async Task<List<string>> EventsAsync(string path, object body, string? fault = null)
    {
        using var response = await SendAsync(path, body, fault);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];
    }

    public async Task<double> MetricAsync(string name, string? label = null)
    {
        var text = await Client.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        var line = text.Split('\n')
            .Single(line => line.StartsWith(name + "{", StringComparison.Ordinal)
            && (label is null || line.Contains(label, StringComparison.Ordinal)));
        return double.Parse(Regex.Match(line, @"\} (.+)$").Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Reads a metric again and again until it is as expected, for ten seconds at most.</summary>
    public async Task WaitForMetricAsync(string name, Func<double, bool> expected)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (!expected(await MetricAsync(name)))
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, limit.Token);
    }

    public void Dispose()
    {
        Client.Dispose();
        // Streams end with their client; what is left after two seconds is cut.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        _app.StopAsync(limit.Token).GetAwaiter().GetResult();
        ((IDisposable)_app).Dispose();
    }
}
