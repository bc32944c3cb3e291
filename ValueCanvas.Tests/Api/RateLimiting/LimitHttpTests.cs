using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Subjects;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What a client of the Api sees of the limits.</summary>
public sealed class LimitHttpTests(ServersFixture servers) : IAsyncLifetime
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private const string Chat = """{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"Hi"}]}""";

    private FakeInference _inference = null!;

    public async ValueTask InitializeAsync() => _inference = await FakeInference.StartAsync();

    public ValueTask DisposeAsync() => _inference.DisposeAsync();

    [Fact]
    public async Task Generate_ByDefault_FortyAtOnceThenOneInThreeSeconds()
    {
        await using var api = Host(cache: true);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < 40; i++)
        {
            using var admitted = await api.PostAsync("/generate", """{"prompt":"Hi"}""");
            Assert.Equal(HttpStatusCode.OK, admitted.StatusCode);
            Assert.Equal("\"api_generation\";q=20;w=60", Assert.Single(admitted.Headers.GetValues("RateLimit-Policy")));
        }

        // On a slow machine some come in again meanwhile.
        var more = 0;
        var last = await api.PostAsync("/generate", """{"prompt":"Hi"}""");
        for (; last.StatusCode == HttpStatusCode.OK; more++)
        {
            last.Dispose();
            last = await api.PostAsync("/generate", """{"prompt":"Hi"}""");
        }

        Assert.InRange(more, 0, (int)(Stopwatch.GetElapsedTime(started).TotalSeconds / 3));
        using var refused = last;
        var problem = await ApiHost.ProblemAsync(refused, 429);
        Assert.Equal("urn:valuecanvas:problem:rate-limit-exceeded", problem.GetProperty("type").GetString());
        Assert.Contains("api_generation", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        AssertHonest(refused, 1, 3_000);
        Assert.Equal(40 + more, _inference.Seen.Count);
    }

    [Fact]
    public async Task OpenAi_Refused_IsToldAsOpenAiDoesWithEveryHeader()
    {
        await using var api = Host(cache: true, Policy("chat", ("Limit", "1"), ("Window", "00:01:00"), ("Routes:0", "/v1")));
        using (var admitted = await api.PostAsync("/v1/chat/completions", Chat))
        {
            Assert.Equal(("1", "0"), (Header(admitted, "x-ratelimit-limit-requests"), Header(admitted, "x-ratelimit-remaining-requests")));
            Assert.Matches("^(59\\.\\d+s|1m0s)$", Header(admitted, "x-ratelimit-reset-requests"));
            Assert.Matches("^\"chat\";r=0;t=(59|60)$", Header(admitted, "RateLimit"));
        }

        using var refused = await api.PostAsync("/v1/chat/completions", Chat);

        var error = await ApiHost.OpenAiErrorAsync(refused, 429);
        Assert.Equal(("requests", "rate_limit_exceeded"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.Matches("^Rate limit reached for policy chat on requests per min \\(RPM\\): Limit 1, Remaining 0, Requested 1\\. "
            + "Please try again in \\d", error.GetProperty("message").GetString());
        AssertHonest(refused, 50_000, 60_000);
        Assert.Equal("0", Header(refused, "x-ratelimit-remaining-requests"));
    }

    [Fact]
    public async Task OpenAi_UpstreamTellsItsOwnLimits_OursStandAlone()
    {
        _inference.Answer = context =>
        {
            context.Response.Headers["x-ratelimit-remaining-requests"] = "777";
            context.Response.Headers.RetryAfter = "9";
            return FakeInference.Error(context, 429, "full");
        };
        await using var api = Host(cache: true, Policy("chat", ("Limit", "5"), ("Routes:0", "/v1")));

        using var response = await api.PostAsync("/v1/chat/completions", Chat);

        // The upstream's refusal passes with its time to wait; the counts are this caller's here.
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal("9", Header(response, "Retry-After"));
        Assert.Equal("4", Header(response, "x-ratelimit-remaining-requests"));
    }

    [Fact]
    public async Task Policies_OfOneGroup_OnlyTheFirstThatFitsApplies()
    {
        await using var api = Host(
            cache: true,
            [.. Policy("a_big", ("Limit", "1000"), ("Models:0", "m"), ("Group", "g"), ("Routes:0", "/v1")),
             .. Policy("b_rest", ("Limit", "1"), ("Group", "g"), ("Routes:0", "/v1"))]);

        for (var i = 0; i < 3; i++)
        {
            using var response = await api.PostAsync("/v1/chat/completions", Chat);
            Assert.Equal("999"[..1], Header(response, "x-ratelimit-remaining-requests")[..1]);
        }

        using var other = await api.PostAsync("/v1/chat/completions", Chat.Replace("\"m\"", "\"n\"", StringComparison.Ordinal));
        Assert.Equal("0", Header(other, "x-ratelimit-remaining-requests"));
    }

    [Theory]
    [InlineData("global")]
    [InlineData("tenant")]
    [InlineData("ip")]
    [InlineData("route")]
    [InlineData("tenant+ip+route")]
    public async Task Scope_OfTheRequest_IsCounted(string scope)
    {
        await using var api = Host(cache: true, Policy("p", ("Limit", "1"), ("Scope", scope), ("Routes:0", "GET /v1/models")));
        using var first = await api.GetAsync("/v1/models");
        using var second = await api.GetAsync("/v1/models");

        Assert.Equal((200, 429), ((int)first.StatusCode, (int)second.StatusCode));
    }

    [Fact]
    public async Task Scope_Model_CountsEachApart()
    {
        await using var api = Host(cache: true, Policy("p", ("Limit", "1"), ("Scope", "tenant+model"), ("Routes:0", "/v1")));
        foreach (var (model, status) in new[] { ("a", 200), ("b", 200), ("a", 429), ("b", 429) })
        {
            using var response = await api.PostAsync(
                "/v1/chat/completions",
                Chat.Replace("\"m\"", $"\"{model}\"", StringComparison.Ordinal));
            Assert.Equal(status, (int)response.StatusCode);
        }
    }

    [Fact]
    public async Task Concurrency_HoweverARequestEnds_ItsPlaceComesBack()
    {
        var left = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.RequestAborted.Register(() => left.TrySetResult());
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await left.Task.WaitAsync(TimeSpan.FromSeconds(20));
        };
        await using var api = Host(
            cache: true,
            [.. Policy("places", ("Algorithm", "concurrency"), ("Limit", "1"), ("Scope", "tenant"), ("Routes:0", "/v1")),
             .. Policy("small", ("Limit", "1"), ("Scope", "tenant+model"), ("Models:0", "rare"), ("Routes:0", "/v1"))]);

        // Left in the middle, while another finds no place.
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(
                Chat.Replace("\"m\",", "\"m\",\"stream\":true,", StringComparison.Ordinal), Encoding.UTF8, "application/json"),
        })
        using (var stream = await api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            Assert.Equal(200, (int)stream.StatusCode);
            using var refused = await api.PostAsync("/v1/chat/completions", Chat);
            Assert.Equal(429, (int)refused.StatusCode);
            Assert.Equal("\"places\";q=1;qu=\"concurrent-requests\"", Header(refused, "RateLimit-Policy"));
        }

        await left.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        await UntilAPlaceIsFreeAsync(api);
        // Failed behind, not understood, refused by another policy.
        _inference.Answer = context => FakeInference.Error(context, 500, "broken");
        var rare = Chat.Replace("\"m\"", "\"rare\"", StringComparison.Ordinal);
        foreach (var body in new[] { Chat, "nonsense", rare, rare })
        {
            // The answer before is whole a moment before its place is free; a place that is lost never is.
            await LimiterInstance.UntilAsync(async () =>
            {
                using var response = await api.PostAsync("/v1/chat/completions", body);
                Assert.NotEqual(200, (int)response.StatusCode);
                return !(await response.Content.ReadAsStringAsync(Cancel)).Contains("places", StringComparison.Ordinal);
            });
        }

        await UntilAPlaceIsFreeAsync(api);
    }

    [Fact]
    public async Task Probes_AreNeverLimited()
    {
        await using var api = Host(cache: false, Policy("all", ("Limit", "0"), ("Scope", "global")));
        using var refused = await api.GetAsync("/v1/models");
        Assert.Equal(429, (int)refused.StatusCode);
        Assert.Null(refused.Headers.RetryAfter);
        foreach (var path in new[] { "/health/live", "/health", "/ready", "/api/health/live" })
        {
            using var response = await api.GetAsync(path);
            Assert.NotEqual(429, (int)response.StatusCode);
        }
    }

    [Theory]
    [InlineData("degraded", 200, 429)]
    [InlineData("open", 200, 200)]
    [InlineData("closed", 429, 429)]
    public async Task RedisAway_EachPolicyDoesAsItSays_AndNothingFails(string fallback, int first, int second)
    {
        await using var api = Host(cache: false, Policy("p", ("Limit", "1"), ("WithoutRedis", fallback), ("Routes:0", "/v1/models")));
        using var one = await api.GetAsync("/v1/models");
        using var two = await api.GetAsync("/v1/models");

        Assert.Equal((first, second), ((int)one.StatusCode, (int)two.StatusCode));
    }

    [Fact]
    public async Task RedisAway_Health_SaysThatMemoryCounts()
    {
        await using var api = Host(cache: false);
        using var response = await api.GetAsync("/health");

        Assert.Equal("degraded", (await ApiHost.JsonAsync(response)).GetProperty("checks").GetProperty("rate_limiter").GetString());
    }

    [Fact]
    public async Task Shadow_Full_RefusesNobodyAndTellsNobody()
    {
        await using var api = Host(cache: true, Policy("p", ("Limit", "1"), ("Shadow", "true"), ("Routes:0", "/v1")));
        for (var i = 0; i < 3; i++)
        {
            using var response = await api.GetAsync("/v1/models");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.False(response.Headers.Contains("RateLimit"));
        }
    }

    [Theory]
    [InlineData("Algorithm", "leaky", "algorithm must be one of")]
    [InlineData("Limit", "-1", "limit must be between")]
    [InlineData("Window", "00:00:00.5", "window must be between")]
    [InlineData("Routes:0", "v1", "routes must be paths")]
    [InlineData("Scope", "planet", "scope must be one of")]
    [InlineData("Overrides:0:Subject", "nobody", "overrides need a subject")]
    public void Configuration_ThatMakesNoSense_StopsTheStartAndNamesTheKey(string key, string value, string message)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(Policy("p", (key, value)).Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)))
            .Build());
        services.AddRateLimiting();
        using var provider = services.BuildServiceProvider();

        // What the host asks before it starts.
        var error = Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IStartupValidator>().Validate());

        Assert.Contains($"RateLimiting:Policies:p:{message}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Configuration_ChangedWhileItRuns_IsFollowedWhereItMakesSense()
    {
        var source = new ReloadedSettings();
        source.Change(Policy("p", ("Limit", "1")));
        var configuration = (IConfigurationRoot)new ConfigurationBuilder().Add(source).Build();
        using var catalog = new PolicyCatalog(configuration, SubjectNames.Syntax, NullLogger<PolicyCatalog>.Instance);

        source.Change(Policy("p", ("Limit", "2")));
        Assert.Equal(2, catalog.Current.Entries["p"].Options.Limit);
        source.Change(Policy("p", ("Limit", "-2")));
        Assert.Equal(2, catalog.Current.Entries["p"].Options.Limit);
        source.Change(Policy("q", ("Limit", "3")));
        Assert.Equal(["api_generation", "q", "strangers"], catalog.Current.Entries.Keys);
    }

    internal static (string Key, string Value)[] Policy(string name, params (string Key, string Value)[] settings) =>
        [.. settings.Select(setting => ($"RateLimiting:Policies:{name}:{setting.Key}", setting.Value))];

    internal static string Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? Assert.Single(values) : "";

    private ApiHost Host(bool cache, params (string Key, string Value)[] settings) =>
        new(
            _inference.Address, cache: cache ? servers.Redis : null,
            // A loaded machine is not a Redis that is late.
            settings: [("RateLimiting:RedisTimeout", "00:00:01"), .. settings]);

    private static Task UntilAPlaceIsFreeAsync(ApiHost api) => LimiterInstance.UntilAsync(async () =>
    {
        using var response = await api.GetAsync("/v1/models");
        return response.StatusCode != HttpStatusCode.TooManyRequests;
    });

    /// <summary>The seconds are the milliseconds, rounded up.</summary>
    private static void AssertHonest(HttpResponseMessage refused, int least, int most)
    {
        var ms = int.Parse(Header(refused, "retry-after-ms"), CultureInfo.InvariantCulture);
        Assert.InRange(ms, least, most);
        Assert.Equal((int)Math.Ceiling(ms / 1000.0), (int)refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
    }

    /// <summary>A file of settings that somebody edits.</summary>
    private sealed class ReloadedSettings : ConfigurationProvider, IConfigurationSource
    {
        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

        public void Change((string Key, string Value)[] settings)
        {
            Data = settings.ToDictionary(setting => setting.Key, setting => (string?)setting.Value, StringComparer.OrdinalIgnoreCase);
            OnReload();
        }
    }
}
