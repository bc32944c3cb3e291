using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>A model server on Kestrel that answers inference requests as the test says, and keeps what it received.</summary>
internal sealed class FakeReplica : IAsyncDisposable
{
    /// <summary>Under this key of the request's items stands its body.</summary>
    public const string BodyItem = "body";

    private readonly RequestDelegate _answer;
    private readonly string[] _models;
    private WebApplication? _app;
    private int _metricsAsked;

    private FakeReplica(RequestDelegate answer, string[] models) => (_answer, _models) = (answer, models);

    public string Address { get; private set; } = "http://127.0.0.1:0";

    /// <summary>A larger body is answered 413, and the connection closed, before it is read.</summary>
    public long? LargestBody { get; set; }

    /// <summary>Accepts connections and requests, and answers nothing.</summary>
    public bool Frozen { get; set; }

    /// <summary>What <c>/metrics</c> says; without it there is no such path.</summary>
    public string? Metrics { get; set; }

    /// <summary>How often <c>/metrics</c> was asked for.</summary>
    public int MetricsAsked => Volatile.Read(ref _metricsAsked);

    public ConcurrentQueue<ReceivedRequest> Received { get; } = new();

    public static async Task<FakeReplica> StartAsync(RequestDelegate answer, params string[] models)
    {
        var replica = new FakeReplica(answer, models.Length == 0 ? ["small-model"] : models);
        await replica.StartAsync();
        return replica;
    }

    /// <summary>At an address of the test's own.</summary>
    public static async Task<FakeReplica> StartAtAsync(string address, RequestDelegate answer)
    {
        var replica = new FakeReplica(answer, ["small-model"]) { Address = address };
        await replica.StartAsync();
        return replica;
    }

    public static async Task AnswerAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync("""{"id":"x","object":"chat.completion","choices":[]}""", context.RequestAborted);
    }

    /// <summary>A short whole stream.</summary>
    public static async Task StreamAsync(HttpContext context)
    {
        await EventAsync(context, """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""");
        await EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}""");
        await EventAsync(context, """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await EventAsync(context, "[DONE]");
    }

    /// <summary>Sends one event and flushes it.</summary>
    public static async Task EventAsync(HttpContext context, string data)
    {
        if (!context.Response.HasStarted)
            context.Response.ContentType = "text/event-stream; charset=utf-8";

        await context.Response.WriteAsync($"data: {data}\n\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    /// <summary>Starts again on the address it had.</summary>
    public async Task StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls(Address);
        builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = null);
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.Run(ServeAsync);
        await _app.StartAsync(TestContext.Current.CancellationToken);
        Address = _app.Urls.First();
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _app, null) is { } app)
        {
            using var now = new CancellationTokenSource();
            await now.CancelAsync();
            await app.StopAsync(now.Token);
            await app.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    public async Task ServeAsync(HttpContext context)
    {
        if (Frozen)
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);

        switch (context.Request.Path.Value)
        {
            case "/health":
                return;
            case "/metrics":
                Interlocked.Increment(ref _metricsAsked);
                context.Response.StatusCode = Metrics is null ? 404 : 200;
                await context.Response.WriteAsync(Metrics ?? "", context.RequestAborted);
                return;
            case "/v1/models":
                var list = new { @object = "list", data = _models.Select(
                    m => new { id = m, @object = "model", created = 7, owned_by = "fake" }) };
                await context.Response.WriteAsync(JsonSerializer.Serialize(list), context.RequestAborted);
                return;
            default:
                context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = LargestBody;
                using (var body = new MemoryStream())
                {
                    await context.Request.Body.CopyToAsync(body, context.RequestAborted);
                    context.Items[BodyItem] = body.ToArray();
                    Received.Enqueue(new ReceivedRequest(
                        context.Request.Path,
                        body.ToArray(),
                        context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase)));
                }

                await _answer(context);
                return;
        }
    }
}

internal sealed record ReceivedRequest(string Path, byte[] Body, IReadOnlyDictionary<string, string> Headers)
{
    public string Text => Encoding.UTF8.GetString(Body);
}

/// <summary>A port on which nothing listens.</summary>
internal static class DeadAddress
{
    public static string Take() => $"http://127.0.0.1:{FreePort.Take()}";
}
