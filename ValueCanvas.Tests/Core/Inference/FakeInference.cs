using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Inference;

/// <summary>A small real server in the inference proxy's place; a test says what it answers.</summary>
internal sealed class FakeInference : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeInference(WebApplication app) => _app = app;

    private const string NoProviders = """{"providers":[]}""";

    public RequestDelegate Answer { get; set; } = Hello;

    public int ReadyStatus { get; set; } = 200;

    /// <summary>What <c>GET /providers</c> says.</summary>
    public string Providers { get; set; } = NoProviders;

    public ConcurrentQueue<SeenRequest> Seen { get; } = new();

    public string Address => _app.Urls.First();

    public static async Task<FakeInference> StartAsync(int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var fake = new FakeInference(builder.Build());
        fake._app.MapGet("/health/ready", context =>
        {
            context.Response.StatusCode = fake.ReadyStatus;
            return context.Response.WriteAsync("{\"status\":\"healthy\"}");
        });
        fake._app.MapGet("/providers", context => Text(context, 200, fake.Providers));
        fake._app.MapFallback(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            context.Items[nameof(BodyOf)] = body.ToArray();
            fake.Seen.Enqueue(new(
                context.Request.Method,
                $"{context.Request.Path.ToUriComponent()}{context.Request.QueryString}",
                context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase),
                body.ToArray()));
            await fake.Answer(context);
        });
        await fake._app.StartAsync(TestContext.Current.CancellationToken);
        return fake;
    }

    /// <summary>As it was when it started.</summary>
    public void Reset()
    {
        (Answer, ReadyStatus, Providers) = (Hello, 200, NoProviders);
        Seen.Clear();
    }

    /// <summary>What this request asks; <see cref="Seen"/> has those of all.</summary>
    public static System.Text.Json.JsonElement BodyOf(HttpContext context) =>
        System.Text.Json.JsonDocument.Parse((byte[])context.Items[nameof(BodyOf)]!).RootElement;

    /// <summary>One at which nothing listens, and nothing of another test will.</summary>
    public static string NowhereAddress() => $"http://127.0.0.1:{FreePort.Take()}";

    public static async Task Text(HttpContext context, int status, string body, string type = "application/json")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        await context.Response.WriteAsync(body, context.RequestAborted);
    }

    public static Task Error(HttpContext context, int status, string message, string? code = null) => Text(
        context,
        status,
        System.Text.Json.JsonSerializer.Serialize(
            new { error = new { message, type = "invalid_request_error", param = (string?)null, code } }));

    public static string Completion(string content, string finishReason = "stop") =>
        $$$"""
        {"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake-model","choices":[{"index":0,"message":{"role":"assistant",
        "content":{{{System.Text.Json.JsonSerializer.Serialize(content)}}}},"finish_reason":"{{{finishReason}}}"}],
        "usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":null}}
        """;

    public static async Task Event(HttpContext context, string data)
    {
        if (!context.Response.HasStarted)
            context.Response.ContentType = "text/event-stream";
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"data: {data}\n\n"), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    public static string Chunk(string? content, string? finishReason = null) =>
        $$$"""
        {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake-model","choices":[{"index":0,"delta":{"content":
        {{{System.Text.Json.JsonSerializer.Serialize(content)}}}},
        "finish_reason":{{{(finishReason is null ? "null" : $"\"{finishReason}\"")}}}}],"usage":null}
        """.ReplaceLineEndings("");

    public static string UsageChunk() =>
        """
        {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake-model","choices":[],"usage":{"prompt_tokens":7,
        "completion_tokens":2,"total_tokens":9}}
        """.ReplaceLineEndings("");

    public static async Task Stream(HttpContext context, params string[] pieces)
    {
        foreach (var piece in pieces)
            await Event(context, Chunk(piece));
        await Event(context, Chunk("", "stop"));
        await Event(context, UsageChunk());
        await Event(context, "[DONE]");
    }

    private static Task Hello(HttpContext context) => Text(context, 200, Completion("Hello."));

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
    }
}

internal sealed record SeenRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public System.Text.Json.JsonElement Json => System.Text.Json.JsonDocument.Parse(Body).RootElement;
}
