using System.Net;
using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

/// <summary>Anthropic's API: forwarded as it is, and refused in its own words.</summary>
public sealed class MessagesTests : IAsyncLifetime
{
    private const string Body = """{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""";

    private FakeInference _inference = null!;
    private ApiHost _api = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _inference = await FakeInference.StartAsync();
        _api = new ApiHost(
            _inference.Address,
            settings:
            [
                ("Inference:InternalKey", "the-key-of-the-house-0123"),
                ("RateLimiting:Policies:rare:Limit", "1"), ("RateLimiting:Policies:rare:Routes:0", "/v1/messages/count_tokens"),
            ]);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _inference.DisposeAsync();
    }

    [Theory]
    [InlineData("/v1/messages")]
    [InlineData("/v1/messages?beta=true")]
    [InlineData("/v1/messages/count_tokens")]
    public async Task Post_WithTheKeyAsAnthropicsClientsSendIt_PassesAsItIs(string path)
    {
        _inference.Answer = context => FakeInference.Text(context, 200, """{"input_tokens":3}""");
        using var client = _api.ClientWith(null);
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(Body) };
        request.Headers.Add("x-api-key", ApiHost.Key);
        request.Headers.Add("anthropic-version", "2023-06-01");
        request.Headers.Add("anthropic-beta", "context-1m-2025-08-07,files-api-2025-04-14");

        using var response = await client.SendAsync(request, Cancellation);

        Assert.Equal("""{"input_tokens":3}""", await response.Content.ReadAsStringAsync(Cancellation));
        var seen = Assert.Single(_inference.Seen);
        Assert.Equal(("POST", path, Body), (seen.Method, seen.Target, Encoding.UTF8.GetString(seen.Body)));
        Assert.Equal("2023-06-01", seen.Headers["anthropic-version"]);
        Assert.Equal("context-1m-2025-08-07,files-api-2025-04-14", seen.Headers["anthropic-beta"]);
        Assert.Equal(Tenants.Development.ToString(), seen.Headers["x-valuecanvas-tenant"]);
        Assert.False(seen.Headers.ContainsKey("x-api-key"));
    }

    [Fact]
    public async Task Post_WithoutAKey_Is401ThatSaysHowToGetOne()
    {
        using var stranger = _api.ClientWith(null);
        foreach (var path in (string[])["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"])
        {
            using var response = await stranger.PostAsync(path, new StringContent(Body), Cancellation);
            var error = await ApiHost.AnthropicErrorAsync(response, 401);
            Assert.Equal("authentication_error", error.GetProperty("type").GetString());
            Assert.Contains("POST /api/keys", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.Equal("Bearer", Assert.Single(response.Headers.WwwAuthenticate).Scheme);
        }

        Assert.Empty(_inference.Seen);
    }

    [Fact]
    public async Task Refusals_OfTheApiItself_AreAnthropicsErrors()
    {
        using var unknown = await _api.PostAsync("/v1/messages/batches", Body);
        using var method = await _api.GetAsync("/v1/messages");
        using var large = new HttpRequestMessage(
            HttpMethod.Post, "/v1/messages") { Content = new ByteArrayContent(new byte[33 * 1024 * 1024]) };
        using var tooLarge = await _api.Client.SendAsync(large, Cancellation);
        using var counted = await _api.PostAsync("/v1/messages/count_tokens", Body);
        using var limited = await _api.PostAsync("/v1/messages/count_tokens", Body);

        Assert.Equal("not_found_error", Type(await ApiHost.AnthropicErrorAsync(unknown, 404)));
        Assert.Equal("invalid_request_error", Type(await ApiHost.AnthropicErrorAsync(method, 405)));
        Assert.Equal("request_too_large", Type(await ApiHost.AnthropicErrorAsync(tooLarge, 413)));
        Assert.Equal(HttpStatusCode.OK, counted.StatusCode);
        Assert.Equal("rate_limit_error", Type(await ApiHost.AnthropicErrorAsync(limited, 429)));
        Assert.NotNull(limited.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task Proxy_Down_Is529Overloaded()
    {
        await using var alone = new ApiHost();

        using var response = await alone.PostAsync("/v1/messages", Body);

        Assert.Equal("overloaded_error", Type(await ApiHost.AnthropicErrorAsync(response, 529)));
        Assert.NotNull(response.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task Stream_BreaksOff_EndsWithAnErrorEvent()
    {
        var cut = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.Body.WriteAsync("event: message_start\ndata: {}\n\n"u8.ToArray(), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await cut.Task.WaitAsync(context.RequestAborted);
            context.Abort();
        };

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/messages") { Content = new StringContent(Body) };
        using var response = await _api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        cut.SetResult();
        var text = await response.Content.ReadAsStringAsync(Cancellation);

        Assert.StartsWith("event: message_start\ndata: {}\n\nevent: error\ndata: {", text, StringComparison.Ordinal);
        var last = JsonDocument.Parse(text.TrimEnd().Split("data: ")[^1]).RootElement;
        Assert.Equal("overloaded_error", Type(last.GetProperty("error")));
    }

    private static string? Type(JsonElement error) => error.GetProperty("type").GetString();
}
