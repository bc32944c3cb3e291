using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>Two model servers behind a proxy on a clock of its own: a primary with a fault, and one that answers (or none).</summary>
internal sealed class FaultyPair : IAsyncDisposable
{
    public const string Ask = """{"model":"default"}""";
    public const string AskStream = """{"model":"default","stream":true}""";

    private FaultyPair(SteppedClock clock, FakeReplica primary, FakeReplica? other, ProxyHost proxy) =>
        (Clock, Primary, Other, Proxy) = (clock, primary, other, proxy);

    public SteppedClock Clock { get; }

    public FakeReplica Primary { get; }

    public FakeReplica? Other { get; }

    public ProxyHost Proxy { get; }

    public static async Task<FaultyPair> StartAsync(RequestDelegate fault, bool alone = false, params (string Key, string Value)[] settings)
    {
        var clock = new SteppedClock();
        var primary = await FakeReplica.StartAsync(fault);
        var other = alone ? null : await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        string[] endpoints = other is null ? [primary.Address] : [primary.Address, other.Address];
        return new FaultyPair(
            clock, primary, other, ProxyHost.Start(clock, endpoints, [("Inference:ProbeInterval", "12:00:00"), .. settings]));
    }

    /// <summary>Asks for a stream once, and reads the answer to its end.</summary>
    public async Task<Outcome> AskAsync(string body = AskStream)
    {
        using var response = await Proxy.PostAsync(body);
        using var text = new MemoryStream();
        var cancel = TestContext.Current.CancellationToken;
        var broken = await Record.ExceptionAsync(async () =>
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancel);
            await stream.CopyToAsync(text, cancel).WaitAsync(TimeSpan.FromSeconds(20), cancel);
        });
        var attempts = response.Headers.TryGetValues("x-valuecanvas-attempts", out var values) ? int.Parse(values.Single(), null) : 0;
        return new Outcome((int)response.StatusCode, attempts, System.Text.Encoding.UTF8.GetString(text.ToArray()), broken is not null,
            response.Headers.RetryAfter?.Delta);
    }

    /// <summary>The breaker of the primary as operators see it.</summary>
    public async Task<JsonElement> BreakerAsync() => (await Proxy.ReplicaAsync(0)).GetProperty("breakers").EnumerateArray().Single();

    public async Task<string?> StateAsync() => (await BreakerAsync()).GetProperty("state").GetString();

    public async ValueTask DisposeAsync()
    {
        await Proxy.DisposeAsync();
        await Primary.DisposeAsync();
        if (Other is not null)
            await Other.DisposeAsync();
    }
}

internal sealed record Outcome(int Status, int Attempts, string Text, bool Broken, TimeSpan? RetryAfter)
{
    /// <summary>A whole stream, as the client of the other server gets it.</summary>
    public void AssertWhole()
    {
        Assert.Equal(200, Status);
        Assert.Contains("\"content\":\"hello\"", Text);
        Assert.Contains("data: [DONE]\n\n", Text);
        Assert.DoesNotContain("\"error\"", Text);
        Assert.False(Broken);
    }
}
