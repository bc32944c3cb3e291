using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ValueCanvas.Api.Chat;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

/// <summary>The Api on Kestrel, in process, with the dependencies that a test names; what it does not name is away.</summary>
internal sealed class ApiHost : IAsyncDisposable
{
    private readonly Factory _factory;

    public ApiHost(string? inference = null, string? database = null, string? cache = null, params (string Key, string Value)[] settings)
    {
        _factory = new Factory(
        [
            ("ConnectionStrings:valuecanvas", database ?? "Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1"),
            ("ConnectionStrings:cache", cache ?? "127.0.0.1:9"),
            ("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"),
            ("services:inference:http:0", inference ?? FakeInference.NowhereAddress()),
            // The tests share a Redis, not their callers' limits.
            ("RateLimiting:Prefix", $"test-{Guid.NewGuid():N}"),
            .. settings,
        ]);
        // Not UseKestrel(port): that changes the addresses of a server which may have started already.
        _factory.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _factory.StartServer();
        Client = new HttpClient { BaseAddress = _factory.ClientOptions.BaseAddress, Timeout = TimeSpan.FromSeconds(60) };
    }

    public HttpClient Client { get; }

    public Uri Address => Client.BaseAddress!;

    public Task<HttpResponseMessage> PostAsync(string path, string json) => PostAsync(path, Encoding.UTF8.GetBytes(json));

    public Task<HttpResponseMessage> PostAsync(string path, byte[] body, string? type = "application/json")
    {
        var content = new ByteArrayContent(body);
        if (type is not null)
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        return Client.PostAsync(path, content, TestContext.Current.CancellationToken);
    }

    public Task<HttpResponseMessage> GetAsync(string path) => Client.GetAsync(path, TestContext.Current.CancellationToken);

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response) =>
        await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);

    /// <summary>Checks the status and that the body is problem+json with all that belongs into one.</summary>
    public static async Task<JsonElement> ProblemAsync(HttpResponseMessage response, int status)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = JsonDocument.Parse(text).RootElement;
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.StartsWith("urn:valuecanvas:problem:", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
        foreach (var name in new[] { "title", "detail", "traceId" })
            Assert.False(string.IsNullOrWhiteSpace(problem.GetProperty(name).GetString()));
        Assert.Equal(response.RequestMessage!.RequestUri!.AbsolutePath, problem.GetProperty("instance").GetString());
        return problem;
    }

    /// <summary>Checks the status and that the body is OpenAI's error object with its four keys.</summary>
    public static async Task<JsonElement> OpenAiErrorAsync(HttpResponseMessage response, int status)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var error = JsonDocument.Parse(text).RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(property => property.Name));
        return error;
    }

    /// <summary>Every mapped route with its method, in OpenAPI's notation; routes that match any path or any method are left out.</summary>
    public IEnumerable<(string Method, string Path)> Routes() =>
        from endpoint in _factory.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
        where !endpoint.RoutePattern.Parameters.Any(parameter => parameter.IsCatchAll && endpoint.RoutePattern.PathSegments.Count == 1)
        from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []
        select (method, Plain(endpoint.RoutePattern));

    // Without constraints, and without the slash that a group's empty pattern leaves.
    private static string Plain(RoutePattern pattern)
    {
        var path = "/" + string.Join('/', pattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part => part switch
        {
            RoutePatternParameterPart parameter => $"{{{parameter.Name}}}",
            RoutePatternLiteralPart literal => literal.Content,
            _ => "",
        }))));
        return path;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _factory.DisposeAsync();
    }

    // Any type of the Api names its assembly; the Program classes of the services all have the same name.
    private sealed class Factory((string Key, string Value)[] settings) : WebApplicationFactory<ChatBody>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            foreach (var (key, value) in settings)
                builder.UseSetting(key, value);
            builder.ConfigureTestServices(services => services.AddLogging(logging => logging.ClearProviders()));
        }
    }
}
