using System.Diagnostics;
using System.Net;
using System.Text.Json;

namespace ValueCanvas.Tests.EndToEnd;

[Collection(nameof(EndToEnd))]
public sealed class TraceTests(AppHostFixture system)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task QueuedCanvas_IsOneTrace_FromTheApiThroughTheWorkerAndTheProxyToTheModelServer()
    {
        var api = await system.ApiAsync();
        using var dashboard = new HttpClient { BaseAddress = system.Dashboard, Timeout = TimeSpan.FromSeconds(10) };
        Assert.SkipUnless(await AnswersAsync(dashboard), "The Aspire dashboard is not installed.");
        var traceId = ActivityTraceId.CreateRandom();
        api.DefaultRequestHeaders.Add("traceparent", $"00-{traceId}-{ActivitySpanId.CreateRandom()}-01");

        var job = await api.EnqueueCanvasAsync("A shop for used bicycles");
        await api.FinishedJobAsync(job, TimeSpan.FromSeconds(60));

        var services = await ServicesOfAsync(dashboard, traceId, expected: 4);
        Assert.Superset(new HashSet<string> { "api", "worker", "inference", "vllm" }, services);
    }

    [Fact]
    public async Task Dashboard_HasTelemetryOfEveryService()
    {
        var api = await system.ApiAsync();
        using var dashboard = new HttpClient { BaseAddress = system.Dashboard, Timeout = TimeSpan.FromSeconds(10) };
        Assert.SkipUnless(await AnswersAsync(dashboard), "The Aspire dashboard is not installed.");
        await api.FinishedJobAsync(await api.EnqueueCanvasAsync("A school for sailing"), TimeSpan.FromSeconds(60));

        foreach (var service in (string[])["api", "worker", "inference", "vllm-0", "vllm-1"])
            await dashboard.UntilAsync("/api/telemetry/resources", HttpStatusCode.OK, TimeSpan.FromSeconds(20), $"\"{service}");
    }

    // Nothing waits for the dashboard's start, which takes its time on a busy machine.
    private static async Task<bool> AnswersAsync(HttpClient dashboard)
    {
        var started = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(250));
        do
        {
            try
            {
                using var response = await dashboard.GetAsync("/api/telemetry/resources", TestContext.Current.CancellationToken);
                if (response.IsSuccessStatusCode)
                    return true;
            }
            catch (HttpRequestException)
            {
                // Not yet, or not installed.
            }
        }
        while (Stopwatch.GetElapsedTime(started) < Patience && await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken));
        return false;
    }

    /// <summary>
    /// The services whose spans the trace has, replicas counted as one; asks until there are enough, since exporters send in batches.
    /// </summary>
    private static async Task<HashSet<string>> ServicesOfAsync(HttpClient dashboard, ActivityTraceId traceId, int expected)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(TimeSpan.FromSeconds(20));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(250));
        var services = new HashSet<string>();
        try
        {
            do
            {
                using var response = await dashboard.GetAsync($"/api/telemetry/traces/{traceId}", bound.Token);
                if (response.IsSuccessStatusCode)
                    services = [.. ServiceNames(await response.Content.ReadAsStringAsync(bound.Token))];
            }
            while (services.Count < expected && await timer.WaitForNextTickAsync(bound.Token));
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            // The assertion says which services are missing.
        }

        return services;
    }

    private static IEnumerable<string> ServiceNames(string otlpJson)
    {
        using var document = JsonDocument.Parse(otlpJson);
        return [.. Resources(document.RootElement).Select(name => name.StartsWith("vllm-", StringComparison.Ordinal) ? "vllm" : name)];
    }

    /// <summary>Every <c>service.name</c> in OTLP JSON, whatever it is wrapped in.</summary>
    private static IEnumerable<string> Resources(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object when element.TryGetProperty("key", out var key) && key.ValueKind == JsonValueKind.String
            && key.GetString() == "service.name" => [element.GetProperty("value").GetProperty("stringValue").GetString()!],
        JsonValueKind.Object => element.EnumerateObject().SelectMany(property => Resources(property.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Resources),
        _ => [],
    };
}
