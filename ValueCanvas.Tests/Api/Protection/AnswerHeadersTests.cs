using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>What browsers are told stands in every answer, and nothing that helps an attacker does.</summary>
public sealed class AnswerHeadersTests(OriginsApi origins) : IClassFixture<OriginsApi>
{
    private readonly ApiHost _api = origins.Host;

    [Theory]
    [InlineData("GET", "/health/live")]
    [InlineData("GET", "/api/canvas")]
    [InlineData("GET", "/api/nothing/here")]
    [InlineData("POST", "/v1/chat/completions")]
    [InlineData("DELETE", "/generate")]
    [InlineData("GET", "/api/canvas/%2e%2e%2fx")]
    public async Task Answer_OfWhateverKind_CarriesThem(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await _api.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal("nosniff", Header(response, "X-Content-Type-Options"));
        Assert.Contains("frame-ancestors 'none'", Header(response, "Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", Header(response, "Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Equal("DENY", Header(response, "X-Frame-Options"));
        Assert.Equal("no-referrer", Header(response, "Referrer-Policy"));
        Assert.Contains("camera=()", Header(response, "Permissions-Policy"), StringComparison.Ordinal);
        Assert.Equal("same-origin", Header(response, "Cross-Origin-Opener-Policy"));
        Assert.Equal("same-origin", Header(response, "Cross-Origin-Resource-Policy"));
        Assert.Equal("no-store", Header(response, "Cache-Control"));
        Assert.Contains("Origin", Header(response, "Vary"), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Server"));
        Assert.False(response.Headers.Contains("X-Powered-By"));
        Assert.False(response.Headers.Contains("Strict-Transport-Security"));
    }

    [Fact]
    public async Task Answer_OfAModelServer_LosesItsServerHeader()
    {
        var context = await AnsweredAsync(context =>
        {
            context.Response.Headers.Server = "uvicorn";
            context.Response.Headers["X-Powered-By"] = "luck";
            context.Response.Headers.CacheControl = "max-age=60";
        });

        Assert.False(context.Response.Headers.ContainsKey("Server"));
        Assert.False(context.Response.Headers.ContainsKey("X-Powered-By"));
        Assert.Equal("max-age=60", context.Response.Headers.CacheControl);
    }

    [Theory]
    [InlineData("https", "api.example.com", "max-age=31536000; includeSubDomains")]
    [InlineData("https", "localhost:5180", "")]
    [InlineData("http", "api.example.com", "")]
    public async Task StrictTransport_OverHttpsAlone_IsDemandedForAYear(string scheme, string host, string expected)
    {
        var context = await AnsweredAsync(context => (context.Request.Scheme, context.Request.Host) = (scheme, new HostString(host)));

        Assert.Equal(expected, context.Response.Headers.StrictTransportSecurity.ToString());
    }

    [Fact]
    public async Task Page_WithANonce_MayRunWhatCarriesItAlone()
    {
        var nonce = "";
        var first = await AnsweredAsync(context =>
        {
            nonce = PageNonce.Of(context);
            Assert.Equal(nonce, PageNonce.Of(context));
        });
        var second = await AnsweredAsync(context => PageNonce.Of(context));

        var policy = first.Response.Headers.ContentSecurityPolicy.ToString();
        Assert.Contains($"script-src 'nonce-{nonce}' 'strict-dynamic'", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.NotEqual(policy, second.Response.Headers.ContentSecurityPolicy.ToString());
    }

    private static async Task<HttpContext> AnsweredAsync(Action<HttpContext> handle)
    {
        var context = new DefaultHttpContext();
        var starting = new StartingResponse();
        context.Features.Set<Microsoft.AspNetCore.Http.Features.IHttpResponseFeature>(starting);
        var middleware = new AnswerHeaders(
            answered =>
            {
                handle(answered);
                return Task.CompletedTask;
            },
            Options.Create(new ProtectionOptions()));
        await middleware.InvokeAsync(context);
        await starting.StartAsync();
        return context;
    }

    private static string Header(HttpResponseMessage response, string name)
    {
        Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.True(response.Headers.TryGetValues(name, out var values), $"no {name}");
        return string.Join(", ", values);
    }

    private sealed class StartingResponse : Microsoft.AspNetCore.Http.Features.HttpResponseFeature
    {
        private readonly List<(Func<object, Task> Callback, object State)> _callbacks = [];

        public override void OnStarting(Func<object, Task> callback, object state) => _callbacks.Add((callback, state));

        public async Task StartAsync()
        {
            foreach (var (callback, state) in _callbacks)
                await callback(state);
        }
    }
}
