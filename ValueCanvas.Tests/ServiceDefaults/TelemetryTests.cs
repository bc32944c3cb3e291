using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Tests.ServiceDefaults;

public sealed class TelemetryTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Service_WithCollector_SendsTracesMetricsAndLogsBeforeItEnds()
    {
        await using var collector = await OtlpReceiver.StartAsync(Cancel);
        using var source = new ActivitySource("ValueCanvas.Tests.Telemetry");
        await using (var app = await ServiceHost.StartAsync(
            map: app => app.MapGet("/items/{id}", (string id, IMeterFactory meters, ILoggerFactory loggers) =>
        {
            using var work = source.StartActivity("own-work");
            meters.Create("ValueCanvas.Tests.Telemetry").CreateCounter<int>("valuecanvas.tests.items").Add(1);
            loggers.CreateLogger("ValueCanvas.Tests.Items").LogError("Item {Id} was asked for", id);
            return id;
        }), settings: Collector(collector, ("LOG_LEVEL", "error"))))
        {
            using var client = TracingClient(app);
            Assert.Equal("7", await client.GetStringAsync("/items/7", Cancel));
            await app.StopAsync(Cancel);
        }

        var traces = collector.Everything("/v1/traces");
        Assert.Contains("GET /items/{id}", traces);
        Assert.Contains("own-work", traces);
        Assert.Contains("renamed-service", traces);
        Assert.Contains("instance-1", traces);
        var metrics = collector.Everything("/v1/metrics");
        Assert.Contains("http.server.request.duration", metrics);
        Assert.Contains("valuecanvas.tests.items", metrics);
        Assert.Contains("dotnet.gc.collections", metrics);
        Assert.Contains("Item 7 was asked for", collector.Everything("/v1/logs"));
    }

    [Fact]
    public async Task HealthProbe_WithCollector_LeavesNoSpan()
    {
        await using var collector = await OtlpReceiver.StartAsync(Cancel);
        await using (var app = await ServiceHost.StartAsync(map: app => app.MapGet("/work", () => "done"), settings: Collector(collector)))
        {
            using var client = TracingClient(app);
            foreach (var path in new[] { "/health", "/health/live", "/health/ready", "/ready", "/work" })
                await client.GetStringAsync(path, Cancel);

            await app.StopAsync(Cancel);
        }

        var traces = collector.Everything("/v1/traces");
        Assert.Contains("GET /work", traces);
        Assert.DoesNotContain("/health", traces);
        Assert.DoesNotContain("/ready", traces);
    }

    [Fact]
    public async Task Request_WhoseCallerDroppedItsSpan_LeavesNoSpan_EvenWhereEverythingIsSampled()
    {
        await using var collector = await OtlpReceiver.StartAsync(Cancel);
        var settings = Collector(collector, ("OTEL_TRACES_SAMPLER", "always_on"));
        await using (var app = await ServiceHost.StartAsync(
            map: app => { app.MapGet("/polled", () => "done"); app.MapGet("/asked", () => "done"); }, settings: settings))
        {
            using var client = app.Client();
            foreach (var (path, flags) in new[] { ("/polled", "00"), ("/asked", "01") })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, path);
                request.Headers.Add("traceparent", $"00-{ActivityTraceId.CreateRandom()}-{ActivitySpanId.CreateRandom()}-{flags}");
                using var response = await client.SendAsync(request, Cancel);
            }

            await app.StopAsync(Cancel);
        }

        var traces = collector.Everything("/v1/traces");
        Assert.Contains("GET /asked", traces);
        Assert.DoesNotContain("/polled", traces);
    }

    [Fact]
    public async Task Service_WithCollectorThatIsAway_StartsServesAndEndsInTime()
    {
        var started = Stopwatch.GetTimestamp();
        await using (var app = await ServiceHost.StartAsync(
            map: app => app.MapGet("/work", () => "done"),
            settings: [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]))
        {
            using var client = app.Client();
            Assert.Equal("done", await client.GetStringAsync("/work", Cancel));
            await app.StopAsync(Cancel);
        }

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task RequestSpan_RouteMatches_NamedByMethodAndRoute()
    {
        var span = await SpanOfAsync("/things/{id}", "/things/12", () => Results.NotFound());

        Assert.Equal("GET /things/{id}", span.DisplayName);
        Assert.Equal("/things/{id}", span.GetTagItem("http.route"));
        Assert.Equal(404, span.GetTagItem("http.response.status_code"));
        Assert.Equal("/things/12", span.GetTagItem("url.path"));
        Assert.Equal(ActivityStatusCode.Unset, span.Status);
    }

    [Fact]
    public async Task RequestSpan_NoRouteMatches_NamedByMethod()
    {
        var span = await SpanOfAsync("/things", "/elsewhere", () => Results.Ok());

        Assert.Equal("GET", span.DisplayName);
        Assert.Equal(404, span.GetTagItem("http.response.status_code"));
    }

    [Fact]
    public async Task RequestSpan_HandlerThrows_CarriesErrorAndException()
    {
        var span = await SpanOfAsync("/broken", "/broken", () => throw new InvalidOperationException("out of order"));

        Assert.Equal(ActivityStatusCode.Error, span.Status);
        Assert.Equal(500, span.GetTagItem("http.response.status_code"));
        Assert.Equal("System.InvalidOperationException", span.GetTagItem("error.type"));
        Assert.Equal("exception", Assert.Single(span.Events).Name);
    }

    [Fact]
    public async Task RequestSpan_Answers503_IsAnErrorOfThatStatus()
    {
        var span = await SpanOfAsync("/away", "/away", () => Results.StatusCode(503));

        Assert.Equal(ActivityStatusCode.Error, span.Status);
        Assert.Equal("503", span.GetTagItem("error.type"));
    }

    [Fact]
    public async Task Service_UnknownSampler_RefusesToStartAndNamesTheVariable()
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => ServiceHost.StartAsync(
            settings: [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_TRACES_SAMPLER", "sometimes")]));
        Assert.Contains("OTEL_TRACES_SAMPLER", failure.Message);
    }

    [Fact]
    public async Task Service_UnknownLogLevel_RefusesToStartAndNamesTheVariable()
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => ServiceHost.StartAsync(settings: [("LOG_LEVEL", "chatty")]));
        Assert.Contains("LOG_LEVEL", failure.Message);
    }

    [Fact]
    public async Task Response_Always_HasNoServerHeader()
    {
        await using var app = await ServiceHost.StartAsync(map: app => app.MapGet("/work", () => "done"));
        using var client = app.Client();
        using var response = await client.GetAsync("/work", Cancel);
        Assert.Empty(response.Headers.Server);
    }

    /// <summary>A client whose calls belong to a sampled trace, as a caller's do.</summary>
    private static HttpClient TracingClient(WebApplication app)
    {
        var client = app.Client();
        client.DefaultRequestHeaders.Add("traceparent", $"00-{ActivityTraceId.CreateRandom()}-{ActivitySpanId.CreateRandom()}-01");
        return client;
    }

    private static (string, string)[] Collector(OtlpReceiver collector, params (string, string)[] more) =>
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_SERVICE_NAME", "renamed-service"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=instance-1"),
        .. more,
    ];

    /// <summary>Serves one route, asks for <paramref name="path"/> under a trace of its own and hands back the server's span.</summary>
    private static async Task<Activity> SpanOfAsync(string route, string path, Func<IResult> handler)
    {
        var trace = ActivityTraceId.CreateRandom();
        var ended = new TaskCompletionSource<Activity>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                    ended.TrySetResult(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var app = await ServiceHost.StartAsync(map: app => app.MapGet(route, handler));
        using var client = app.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");
        using var response = await client.SendAsync(request, Cancel);
        return await ended.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
    }
}
