using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>
/// What one instance of the Api or the worker asks models with, pointed at an address; Redis and PostgreSQL where they are named.
/// </summary>
internal sealed class CacheInstance : IAsyncDisposable
{
    public static readonly Guid Tenant = Tenants.Development;

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly IHost _host;

    private CacheInstance(IHost host) => _host = host;

    public required ShiftedClock Clock { get; init; }

    public FlightDirectory Flights => Require<FlightDirectory>();

    public MemoryLevel Memory => Require<MemoryLevel>();

    public static async Task<CacheInstance> StartAsync(
        string inference, string? redis = null, string? database = null, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create("services:inference:http:0", (string?)inference),
            KeyValuePair.Create("ConnectionStrings:cache", redis),
            KeyValuePair.Create("ConnectionStrings:valuecanvas", database is null ? null : $"{database};Pooling=true"),
            KeyValuePair.Create("ResponseCache:TtlSpread", (string?)"0"),
            KeyValuePair.Create(InferenceHeaders.KeySetting, (string?)"a-secret-between-the-services"),
        ]);
        // The last one counts.
        builder.Configuration.AddInMemoryCollection(
            settings.Reverse().DistinctBy(setting => setting.Key)
                .Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)));
        var clock = new ShiftedClock();
        builder.Services.AddSingleton<TimeProvider>(clock);
        builder.AddServiceDefaults();
        builder.Logging.ClearProviders();
        if (database is not null)
            builder.AddValueCanvasDatabase();
        builder.AddValueCanvasCache(required: false);
        builder.AddInference();
        var instance = new CacheInstance(builder.Build()) { Clock = clock };
        await instance._host.StartAsync(TestContext.Current.CancellationToken);
        if (redis is not null && instance.Require<ResponseCacheOptions>().Enabled)
            await UntilAsync(() => instance.Require<RedisLevel>().IsAsked);
        return instance;
    }

    public T Require<T>() where T : notnull => _host.Services.GetRequiredService<T>();

    public T? Find<T>() where T : class => _host.Services.GetService<T>();

    /// <summary>Sends it and reads the whole answer.</summary>
    public async Task<CacheReply> AskAsync(
        string body, CacheControl? cache = null, Guid? tenant = null, string path = "v1/chat/completions",
        Action<HttpRequestMessage>? adapt = null,
        (string Key, string Version)? prompt = null)
    {
        using var bound = Bounded();
        var (response, call) = await SendAsync(body, cache, tenant, path, adapt, prompt, bound.Token);
        using (response)
            return await CacheReply.ReadAsync(response, call, bound.Token);
    }

    /// <summary>Sends it and returns with the head.</summary>
    public async Task<(HttpResponseMessage Response, InferenceCall Call)> SendAsync(
        string body, CacheControl? cache = null, Guid? tenant = null, string path = "v1/chat/completions",
        Action<HttpRequestMessage>? adapt = null,
        (string Key, string Version)? prompt = null, CancellationToken cancellationToken = default)
    {
        var request = new HttpRequestMessage(
            HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        var call = new InferenceCall(tenant ?? Tenant) { Route = "/" + path, Cache = cache ?? CacheControl.Always, Prompt = prompt };
        call.AttachTo(request);
        adapt?.Invoke(request);
        var response = await Require<IHttpClientFactory>().CreateClient(InferenceClient.HttpClientName)
            .SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return (response, call);
    }

    public static CancellationTokenSource Bounded()
    {
        var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(Bound);
        return bound;
    }

    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var bound = Bounded();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!await condition())
            await tick.WaitForNextTickAsync(bound.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(CancellationToken.None);
        if (_host is IAsyncDisposable disposable)
            await disposable.DisposeAsync();
        else
            _host.Dispose();
    }
}

/// <summary>A whole answer, and what it cost.</summary>
internal sealed record CacheReply(int Status, string Cache, string Text, TimeSpan? Age, string? Type, InferenceOutcome Outcome)
{
    public static async Task<CacheReply> ReadAsync(HttpResponseMessage response, InferenceCall call, CancellationToken cancellationToken) =>
        new(
        (int)response.StatusCode,
        response.Headers.TryGetValues("x-cache", out var said) ? string.Join(",", said) : "",
        await response.Content.ReadAsStringAsync(cancellationToken),
        response.Headers.Age,
        response.Content.Headers.ContentType?.MediaType,
        call.Outcome);
}
