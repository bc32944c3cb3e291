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
using Npgsql;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Chat;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Redis;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

/// <summary>The Api on Kestrel, in process, with the dependencies that a test names; what it does not name is away.</summary>
internal sealed class ApiHost : IAsyncDisposable
{
    /// <summary>The operator's, whose tenant is <see cref="Tenants.Development"/>.</summary>
    public const string Key = "key-of-the-tests-0123456789abcdef";

    public const string OperatorEmail = "operator@tests.example";
    public const string OperatorPassword = "correct horse battery staple";

    private readonly Factory _factory;

    public ApiHost(string? inference = null, string? database = null, string? cache = null, params (string Key, string Value)[] settings)
        : this(TimeProvider.System, inference, database, cache, settings)
    {
    }

    /// <summary>With a clock of the test's own.</summary>
    public ApiHost(
        TimeProvider time, string? inference = null, string? database = null, string? cache = null,
            params (string Key, string Value)[] settings)
    {
        _factory = new Factory(
            time,
        [
            ("ConnectionStrings:valuecanvas", Pooled(database) ?? "Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1"),
            ("ConnectionStrings:cache", cache ?? "127.0.0.1:9"),
            // A machine that stood still is not a database or a proxy that is away: tests of time-outs set their own.
            ("Database:ConnectTimeout", "00:00:20"), ("Database:CommandTimeout", "00:00:20"),
            ("Inference:Client:HealthTimeout", "00:00:20"),
            ("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"),
            ("Accounts:Passwords:Iterations", $"{HashingOptions.LeastIterations}"),
            // What is not there does not come back at the end.
            ("Audit:StopTimeout", database is null ? "00:00:00" : "00:00:05"),
            ("VALUECANVAS_BOOTSTRAP_EMAIL", OperatorEmail),
            ("VALUECANVAS_BOOTSTRAP_PASSWORD", OperatorPassword),
            ("VALUECANVAS_BOOTSTRAP_API_KEY", Key),
            ("services:inference:http:0", inference ?? FakeInference.NowhereAddress()),
            // Nor what waits on disk for a database that a test had away.
            ("Usage:Directory", Path.Combine(Path.GetTempPath(), $"valuecanvas-tests-usage-{Guid.NewGuid():N}")),
            // The tests share a Redis, not their callers' limits.
            ("RateLimiting:Prefix", $"test-{Guid.NewGuid():N}"),
            // Tests count calls of models: where they are about the cache, they switch it on.
            ("ResponseCache:Enabled", "false"),
            ("ResponseCache:Prefix", $"test-{Guid.NewGuid():N}"),
            .. settings,
        ]);
        // Not UseKestrel(port): that changes the addresses of a server which may have started already.
        _factory.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _factory.StartServer();
        Client = new HttpClient { BaseAddress = _factory.ClientOptions.BaseAddress, Timeout = TimeSpan.FromSeconds(60) };
        Client.DefaultRequestHeaders.Authorization = new("Bearer", Key);
        // Redis is left alone until its first heartbeat, which on a slow machine the first request would overtake.
        if (cache is not null)
            SpinWait.SpinUntil(() => !Services.GetRequiredService<RedisGate>().IsOpen, TimeSpan.FromSeconds(5));
        // As after a time in which the database was there.
        if (database is null)
            Services.GetRequiredService<KnownKeys>().Add(TokenHash.Of(Key), Known(Services.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Sends <see cref="Key"/> with every request.</summary>
    public HttpClient Client { get; }

    public IServiceProvider Services => _factory.Services;

    /// <summary>For a caller of one's own: without a key, or with this one.</summary>
    public HttpClient ClientWith(string? key)
    {
        var client = new HttpClient { BaseAddress = Address, Timeout = TimeSpan.FromSeconds(60) };
        if (key is not null)
            client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        return client;
    }

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

    /// <summary>Checks the status and that the body is Anthropic's error object.</summary>
    public static async Task<JsonElement> AnthropicErrorAsync(HttpResponseMessage response, int status)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var body = JsonDocument.Parse(text).RootElement;
        Assert.Equal(["type", "error", "request_id"], body.EnumerateObject().Select(property => property.Name));
        Assert.Equal("error", body.GetProperty("type").GetString());
        Assert.StartsWith("req_", body.GetProperty("request_id").GetString(), StringComparison.Ordinal);
        Assert.Equal(body.GetProperty("request_id").GetString(), Assert.Single(response.Headers.GetValues("request-id")));
        var error = body.GetProperty("error");
        Assert.False(string.IsNullOrWhiteSpace(error.GetProperty("message").GetString()));
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

    // The fixtures' strings are for a test's own statements, which leave no connection behind.
    private static string? Pooled(string? database) =>
        database is null ? null : new NpgsqlConnectionStringBuilder(database) { Pooling = true }.ConnectionString;

    private static KnownKey Known(TimeProvider time) => new(
        new Caller(Tenants.Development, Role.Owner, CredentialKind.ApiKey)
        {
            ApiKeyId = Guid.NewGuid(),
            HolderId = Guid.NewGuid(),
            IsOperator = true,
        },
        ExpiresAt: null,
        time.GetTimestamp());

    // Any type of the Api names its assembly; the Program classes of the services all have the same name.
    private sealed class Factory(TimeProvider time, (string Key, string Value)[] settings) : WebApplicationFactory<ChatBody>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            foreach (var (key, value) in settings)
                builder.UseSetting(key, value);
            builder.ConfigureTestServices(services => services.AddSingleton(time).AddLogging(logging => logging.ClearProviders()));
        }
    }
}
