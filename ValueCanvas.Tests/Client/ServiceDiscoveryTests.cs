using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Tests.Client;

public sealed class ServiceDiscoveryTests
{
    [Theory]
    [InlineData("http://api/v1?x=1", "http://10.0.0.1:5001/v1?x=1")]
    [InlineData("http://API/", "http://10.0.0.1:5001/")]
    [InlineData("https+http://api/v1", "http://10.0.0.1:5001/v1")]
    [InlineData("https+http://both/", "https://10.0.0.2:5003/")]
    [InlineData("http://both/", "http://10.0.0.2:5002/")]
    [InlineData("http://_metrics.both/", "http://10.0.0.2:9090/")]
    [InlineData("http://prefixed/v1/models", "http://10.0.0.3:80/base/v1/models")]
    [InlineData("http://schemeless/", "http://10.0.0.4:5004/")]
    [InlineData("http://single/", "http://10.0.0.5:5005/")]
    public async Task SendAsync_ServiceConfigured_GoesToItsAddress(string asked, string sentTo)
    {
        using var client = new DiscoveringClient(new()
        {
            ["services:api:http:0"] = "http://10.0.0.1:5001",
            ["services:both:http:0"] = "http://10.0.0.2:5002",
            ["services:both:https:0"] = "https://10.0.0.2:5003",
            ["services:both:metrics:0"] = "http://10.0.0.2:9090",
            ["services:prefixed:http:0"] = "http://10.0.0.3/base/",
            ["services:schemeless:http:0"] = "10.0.0.4:5004",
            ["services:single:default"] = "http://10.0.0.5:5005",
        });

        await client.GetAsync(asked);

        Assert.Equal(new Uri(sentTo), Assert.Single(client.SentTo));
    }

    [Theory]
    [InlineData("http://example.test:8080/v1", "http://example.test:8080/v1")]
    [InlineData("https+http://example.test/", "https://example.test/")]
    [InlineData("http://_metrics.example/", "http://example/")]
    [InlineData("http://api/", "http://api/")]
    [InlineData("http://127.0.0.1:1234/", "http://127.0.0.1:1234/")]
    public async Task SendAsync_ServiceNotConfiguredForTheScheme_IsLeftToDns(string asked, string sentTo)
    {
        using var client = new DiscoveringClient(new() { ["services:api:https:0"] = "https://10.0.0.1:5001" });

        await client.GetAsync(asked);

        Assert.Equal(new Uri(sentTo), Assert.Single(client.SentTo));
    }

    [Fact]
    public async Task SendAsync_SeveralAddresses_TakesTurns()
    {
        using var client = new DiscoveringClient(new()
        {
            ["services:vllm:http:0"] = "http://10.0.0.1:1",
            ["services:vllm:http:1"] = "http://10.0.0.1:2",
            ["services:vllm:http:2"] = "http://10.0.0.1:3",
        });

        for (var i = 0; i < 30; i++)
            await client.GetAsync("http://vllm/");

        Assert.Equal([10, 10, 10], client.SentTo.GroupBy(address => address.Port).Select(turns => turns.Count()));
        Assert.All(client.SentTo.Chunk(3), round => Assert.Equal(3, round.Distinct().Count()));
    }

    [Fact]
    public async Task SendAsync_AfterTheAnswer_RequestKeepsItsOwnAddress()
    {
        using var client = new DiscoveringClient(new() { ["services:api:http:0"] = "http://10.0.0.1:5001" });

        using var response = await client.GetAsync("http://api/v1");

        Assert.Equal(new Uri("http://api/v1"), response.RequestMessage?.RequestUri);
    }

    [Fact]
    public async Task SendAsync_ConfigurationReloaded_GoesToTheNewAddress()
    {
        using var client = new DiscoveringClient(new() { ["services:api:http:0"] = "http://10.0.0.1:5001" });
        await client.GetAsync("http://api/");

        client.Configuration["services:api:http:0"] = "http://10.0.0.9:5009";
        client.Configuration.Reload();
        await client.GetAsync("http://api/");

        Assert.Equal(new Uri("http://10.0.0.9:5009"), client.SentTo[^1]);
    }

    [Fact]
    public async Task SendAsync_AddressUnreadable_SaysWhichServiceAndSendsNothing()
    {
        using var client = new DiscoveringClient(new() { ["services:api:http:0"] = "http://" });

        var failure = await Assert.ThrowsAsync<KeyNotFoundException>(() => client.GetAsync("http://api/"));

        Assert.Contains("api", failure.Message, StringComparison.Ordinal);
        Assert.Empty(client.SentTo);
    }

    private sealed class DiscoveringClient : IDisposable
    {
        private readonly ServiceProvider _services;
        private readonly HttpClient _client;
        private readonly Recorder _recorder = new();

        public DiscoveringClient(Dictionary<string, string?> configuration)
        {
            Configuration = new ConfigurationBuilder().AddInMemoryCollection(configuration).Build();
            var services = new ServiceCollection().AddSingleton<IConfiguration>(Configuration).AddLogging().AddServiceDiscovery();
            services.AddHttpClient("test").AddServiceDiscovery().ConfigurePrimaryHttpMessageHandler(() => _recorder);
            _services = services.BuildServiceProvider();
            _client = _services.GetRequiredService<IHttpClientFactory>().CreateClient("test");
        }

        public IConfigurationRoot Configuration { get; }

        public List<Uri> SentTo => _recorder.SentTo;

        public Task<HttpResponseMessage> GetAsync(string address)
            => _client.GetAsync(new Uri(address), TestContext.Current.CancellationToken);

        public void Dispose()
        {
            _client.Dispose();
            _services.Dispose();
        }
    }

    /// <summary>The end of the line: remembers where each request would have gone.</summary>
    private sealed class Recorder : HttpMessageHandler
    {
        public List<Uri> SentTo { get; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            SentTo.Add(request.RequestUri!);
            return Task.FromResult(new HttpResponseMessage { RequestMessage = request });
        }
    }
}
