using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>The proxy, whole, on Kestrel and a free port.</summary>
internal sealed class ProxyHost : IAsyncDisposable
{
    public const string OperatorKey = "the-operators-key-in-tests";

    private readonly Factory _factory;

    private ProxyHost(Factory factory)
    {
        _factory = factory;
        _factory.UseKestrel();
        _factory.StartServer();
        using var known = _factory.CreateClient();
        // A client that leaves does so at once: it reads nothing more first.
        Client = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0, ResponseDrainTimeout = TimeSpan.Zero })
        {
            BaseAddress = known.BaseAddress,
            Timeout = TimeSpan.FromSeconds(60),
        };
    }

    public HttpClient Client { get; }

    public IServiceProvider Services => _factory.Services;

    public static ProxyHost Start(IEnumerable<string> endpoints, params (string Key, string Value)[] settings) =>
        Start(TimeProvider.System, endpoints, settings);

    /// <summary>With a clock of the test's own: limits and breakers go by it.</summary>
    public static ProxyHost Start(TimeProvider time, IEnumerable<string> endpoints, params (string Key, string Value)[] settings) =>
        Start(services => services.AddSingleton(time), endpoints, settings);

    /// <summary>With other services of the test's own.</summary>
    public static ProxyHost Start(
        Action<IServiceCollection> services, IEnumerable<string> endpoints, params (string Key, string Value)[] settings) =>
        new(new Factory(services, [
            ("LOG_LEVEL", "none"),
            ("Inference:DefaultModel", "small-model"),
            ("Inference:OperatorKey", OperatorKey),
            ("Inference:ProbeInterval", "00:00:00.1"),
            .. endpoints.Select((endpoint, i) => ($"Inference:Providers:vllm:Endpoints:{i}", endpoint)),
            .. settings,
        ]));

    public static ProxyHost Start(FakeReplica replica, params (string Key, string Value)[] settings) => Start([replica.Address], settings);

    public Task<HttpResponseMessage> PostAsync(string body, string path = "/v1/chat/completions", CancellationToken? cancel = null) =>
        PostAsync(Encoding.UTF8.GetBytes(body), path, cancel);

    public async Task<HttpResponseMessage> PostAsync(byte[] body, string path = "/v1/chat/completions", CancellationToken? cancel = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel ?? TestContext.Current.CancellationToken);
    }

    /// <summary>Acts as an operator, for example <c>vllm-0/drain</c>, and says which proxies follow.</summary>
    public async Task<string?> OperateAsync(string action)
    {
        using var response = await SendActionAsync(action, OperatorKey);
        Assert.Equal(System.Net.HttpStatusCode.OK, response.StatusCode);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        return answer.GetProperty("scope").GetString();
    }

    public async Task<HttpResponseMessage> SendActionAsync(string action, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/providers/{action}");
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        return await Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<JsonElement> ReplicaAsync(int index)
    {
        var providers = await Client.GetFromJsonAsync<JsonElement>("/providers", TestContext.Current.CancellationToken);
        return providers.GetProperty("providers")[0].GetProperty("replicas")[index];
    }

    /// <summary>Asks until the answer is yes, for at most ten seconds.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition())
            await tick.WaitForNextTickAsync(limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _factory.DisposeAsync();
    }

    private sealed class Factory(Action<IServiceCollection> services, IReadOnlyList<(string Key, string Value)> settings)
        : WebApplicationFactory<Fleet>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseEnvironment("Production").UseUrls("http://127.0.0.1:0");
            foreach (var (key, value) in settings)
                builder.UseSetting(key, value);

            builder.ConfigureServices(services);
        }
    }
}

internal static class Errors
{
    /// <summary>Reads an OpenAI error object and checks that it has its four keys.</summary>
    public static async Task<JsonElement> ErrorAsync(this HttpResponseMessage response)
    {
        var body = await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        var error = body.GetProperty("error");
        foreach (var key in new[] { "message", "type", "param", "code" })
            Assert.True(error.TryGetProperty(key, out _), $"the error has no {key}");

        return error;
    }
}
