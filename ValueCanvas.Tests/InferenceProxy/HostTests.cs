using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>Hosts whose names have several addresses.</summary>
public sealed class HostTests
{
    private const string Ask = """{"model":"default"}""";

    // A stream of a replica that holds it goes on when the test says so.
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // What the resolver says of the name "fleet"; null: it does not answer.
    private volatile string[]? _addresses = [];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Name_WithSeveralAddresses_IsAFleet_AndItsRequestsSpeakForTheName()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        var port = new Uri(one.Address).Port;
        await using var two = await FakeReplica.StartAtAsync($"http://127.0.0.2:{port}", FakeReplica.AnswerAsync);
        _addresses = ["127.0.0.2", "127.0.0.1", "::1"];
        await using var proxy = Start(port);

        Assert.Equal([$"fleet:{port}#127.0.0.1", $"fleet:{port}#127.0.0.2"], await NamesAsync(proxy));
        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal((2, 2), (one.Received.Count, two.Received.Count));
        Assert.All(one.Received.Concat(two.Received), request => Assert.Equal($"fleet:{port}", request.Headers["Host"]));
    }

    [Fact]
    public async Task Addresses_ThatComeAndGo_AreFollowed_AndStreamsUnderWayEnd()
    {
        await using var one = await FakeReplica.StartAsync(HoldAsync);
        var port = new Uri(one.Address).Port;
        await using var two = await FakeReplica.StartAtAsync($"http://127.0.0.2:{port}", FakeReplica.AnswerAsync);
        await using var three = await FakeReplica.StartAtAsync($"http://127.0.0.3:{port}", FakeReplica.AnswerAsync);
        _addresses = ["127.0.0.1", "127.0.0.2"];
        await using var proxy = Start(port);
        await proxy.OperateAsync($"fleet:{port}%23127.0.0.2/open");
        using var stream = await proxy.PostAsync("""{"model":"default","stream":true}""");
        Assert.Equal($"fleet:{port}#127.0.0.1", stream.Headers.GetValues("x-valuecanvas-target").Single());

        _addresses = ["127.0.0.2", "127.0.0.3"];
        await ProxyHost.UntilAsync(
            async () => (await NamesAsync(proxy)).SequenceEqual([$"fleet:{port}#127.0.0.2", $"fleet:{port}#127.0.0.3"]));

        for (var i = 0; i < 3; i++)
        {
            // The breaker of the one that stayed is still open: it is the same replica.
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal($"fleet:{port}#127.0.0.3", response.Headers.GetValues("x-valuecanvas-target").Single());
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Single(one.Received);
        _released.SetResult();
        Assert.EndsWith("data: [DONE]\n\n", await stream.Content.ReadAsStringAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Fact]
    public async Task Resolver_ThatFails_ChangesNothing_AndTheLastAddressKeepsItsName()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        var port = new Uri(one.Address).Port;
        await using var two = await FakeReplica.StartAtAsync($"http://127.0.0.2:{port}", FakeReplica.AnswerAsync);
        _addresses = ["127.0.0.1", "127.0.0.2"];
        await using var proxy = Start(port);
        var monitor = proxy.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<HostMonitor>().Single();
        var before = proxy.Services.GetRequiredService<Fleet>().Current;

        _addresses = null;
        await monitor.RunOnceAsync(Cancel);
        _addresses = [];
        await monitor.RunOnceAsync(Cancel);
        Assert.Same(before, proxy.Services.GetRequiredService<Fleet>().Current);

        _addresses = ["127.0.0.2"];
        await monitor.RunOnceAsync(Cancel);
        Assert.Equal([$"fleet:{port}#127.0.0.2"], await NamesAsync(proxy));
        Assert.Same(before.Replicas[1], proxy.Services.GetRequiredService<Fleet>().Current.Replicas[0]);
    }

    [Fact]
    public async Task Name_WithOneAddress_OrOfAHostedService_StaysAsItIs()
    {
        _addresses = ["127.0.0.1"];
        await using var proxy = ProxyHost.Start(Resolve, ["http://fleet:1"], ("Inference:Providers:openai:ApiKeys:0", "key"));

        Assert.Equal(["api.openai.com", "fleet:1"], proxy.Services.GetRequiredService<Fleet>().Current.Replicas.Select(
            r => r.Name).Order());
    }

    [Fact]
    public async Task Tls_AsksForTheHostsName()
    {
        using var key = RSA.Create(2048);
        using var certificate = new CertificateRequest("CN=fleet", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            .CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
        using var listener = new TcpListener(IPAddress.Parse("127.0.0.2"), 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var asked = SeenNameAsync(listener, certificate);
        _addresses = ["127.0.0.2", "127.0.0.3"];
        await using var proxy = ProxyHost.Start(Resolve, [$"https://fleet:{port}"]);

        Assert.Equal("fleet", await asked.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Fact]
    public void Interval_ThatMakesNoSense_StopsTheStartAndNamesTheKey() => Assert.Contains("Inference:ResolveInterval",
        Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], ("Inference:ResolveInterval", "00:00:00"))).Message);

    private static async Task<string[]> NamesAsync(ProxyHost proxy)
    {
        using var providers = JsonDocument.Parse(await proxy.Client.GetStringAsync("/providers", Cancel));
        return [.. providers.RootElement.GetProperty("providers")[0].GetProperty("replicas").EnumerateArray()
            .Select(r => r.GetProperty("name").GetString()!)];
    }

    private static async Task<string> SeenNameAsync(TcpListener listener, X509Certificate2 certificate)
    {
        var name = "";
        using var client = await listener.AcceptTcpClientAsync(Cancel);
        await using var tls = new SslStream(client.GetStream());
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateSelectionCallback = (_, asked) =>
            {
                name = asked ?? "";
                return certificate;
            },
        };
        try
        {
            await tls.AuthenticateAsServerAsync(options, Cancel);
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
        {
            // The proxy does not trust it, and need not.
        }

        return name;
    }

    private ProxyHost Start(int port) => ProxyHost.Start(Resolve, [$"http://fleet:{port}"],
        ("Inference:ResolveInterval", "00:00:00.05"), ("Inference:Routing:Policy", "round-robin"));

    private void Resolve(IServiceCollection services) => services.AddSingleton<HostResolver>((_, _) =>
        _addresses is { } addresses ? Task.FromResult(Array.ConvertAll(addresses, IPAddress.Parse)) : throw new SocketException());

    private async Task HoldAsync(HttpContext context)
    {
        await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}""");
        await _released.Task.WaitAsync(context.RequestAborted);
        await FakeReplica.StreamAsync(context);
    }
}
