using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>
/// A server with a fault that is asked first, and one behind it that answers, each a provider of its own; a clock that only the test moves.
/// The request asks for tools, so its stream cannot be resumed elsewhere, and for usage, which the second server reports.
/// </summary>
internal sealed partial class FaultWall : IAsyncDisposable
{
    private const string Ask =
        """{"model":"MODEL","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"f"}}]}""";

    private readonly FakeReplica _primary;
    private readonly FakeReplica _other;
    private readonly WebApplication? _tls;
    private readonly ProxyHost _proxy;
    private volatile bool _begun;

    private FaultWall(SteppedClock clock, FakeReplica primary, FakeReplica other, WebApplication? tls, ProxyHost proxy) =>
        (Clock, _primary, _other, _tls, _proxy) = (clock, primary, other, tls, proxy);

    public SteppedClock Clock { get; }

    /// <summary>As operators see it.</summary>
    public async Task<JsonElement> BreakerAsync() => (await _proxy.ReplicaAsync(0)).GetProperty("breakers").EnumerateArray().Single();

    public static async Task<FaultWall> StartAsync(string fault, RequestDelegate answer)
    {
        var clock = new SteppedClock();
        var primary = await FakeReplica.StartAsync(answer);
        var other = await FakeReplica.StartAsync(AnswerAsync);
        var tls = fault == "TLS failure" ? await SelfSignedAsync() : null;
        // What is known of a hosted provider is what requests find: it is up until one of them fails.
        var (kind, address) = fault switch
        {
            "DNS failure" => ("openai", "http://no-such-host.invalid"),
            "TLS failure" => ("openai", tls!.Urls.First()),
            "refused" => ("openai", DeadAddress.Take()),
            _ => ("vllm", primary.Address),
        };
        if (fault == "down")
            await primary.StopAsync();

        var proxy = ProxyHost.Start(clock, [], ("Inference:ProbeInterval", "12:00:00"),
            ("Inference:HeadersTimeout", fault == "slow first token" ? "01:00:00" : "00:00:20"),
            ("Inference:Providers:a:Kind", kind), ("Inference:Providers:a:Endpoints:0", address),
            ("Inference:Providers:a:Models:0", "small-model"),
            ("Inference:Providers:b:Kind", "vllm"), ("Inference:Providers:b:Endpoints:0", other.Address),
            ("Inference:Models:wall:Targets:0", "a/small-model"), ("Inference:Models:wall:Targets:1", "b/small-model"),
            ("Inference:Models:healthy:Targets:0", "b/small-model"));
        return new FaultWall(clock, primary, other, tls, proxy);
    }

    /// <summary>How often the server with the fault was asked.</summary>
    public int PrimaryAsked => _primary.Received.Count;

    /// <summary>The median of three whole answers of the other server, without the one with the fault.</summary>
    public async Task<TimeSpan> HealthyAsync()
    {
        var took = new List<TimeSpan>();
        for (var i = 0; i < 3; i++)
        {
            var outcome = await AskAsync(model: "healthy");
            Assert.Equal(("whole answer", "1"), (outcome.Client, outcome.Attempts));
            took.Add(outcome.Took);
        }

        return took.Order().ElementAt(1);
    }

    /// <summary>Asks once and reads to the end. Where the proxy waits for a limit, before or after the answer begins, the clock moves to it
    /// and not beyond.</summary>
    public async Task<Bricks> AskAsync(TimeSpan limit = default, bool begins = false, string model = "wall")
    {
        var (asked, began) = (_primary.Received.Count + _other.Received.Count, Clock.GetTimestamp());
        var started = Stopwatch.GetTimestamp();
        var asking = ReadAsync(model);
        if (limit > TimeSpan.Zero)
        {
            // The limit's timer is set, and before an answer begins that of the first comment.
            await ProxyHost.UntilAsync(() => Task.FromResult(!_primary.Received.IsEmpty && Clock.IsSet(began + limit.Ticks)
                && (begins ? _begun : Clock.IsSet(began + TimeSpan.FromSeconds(10).Ticks))));
            Clock.Advance(limit - TimeSpan.FromMilliseconds(1));
            Assert.True(Clock.IsSet(began + limit.Ticks), "it was given up before the limit");
            Clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        var (status, attempts, text, broken) = await asking.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        var took = Stopwatch.GetElapsedTime(started);
        var waited = limit > TimeSpan.Zero && !begins;
        var client = status != 200 ? $"{status}"
            : broken ? "broken"
            : waited != text.StartsWith(": keep-alive\n\n", StringComparison.Ordinal) ? text
            : text.Contains("data: [DONE]\n\n") && !text.Contains("\"error\"") && text.Contains("hello") ? "whole answer"
            : text.Contains("hel") && !text.Contains("[DONE]") && text.Split("\"stream_interrupted\"").Length == 2 ? "part, one error event"
            : text;
        attempts ??= TrailingAttempts().Match(text) is { Success: true } trailing ? trailing.Groups[1].Value : "none";
        var usage = Usage().Matches(text) is [var one] ? $"{one.Groups[1].Value}+{one.Groups[2].Value}" : $"{Usage().Count(text)}";
        return new Bricks(client, attempts, _primary.Received.Count + _other.Received.Count - asked, usage, took);
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _primary.DisposeAsync();
        await _other.DisposeAsync();
        if (_tls is not null)
            await _tls.DisposeAsync();
    }

    private async Task<(int Status, string? Attempts, string Text, bool Broken)> ReadAsync(string model)
    {
        using var response = await _proxy.PostAsync(Ask.Replace("MODEL", model));
        _begun = true;
        var text = "";
        var broken = await Record.ExceptionAsync(
            async () => text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return ((int)response.StatusCode,
            response.Headers.TryGetValues("x-valuecanvas-attempts", out var values) ? values.Single() : null, text, broken is not null);
    }

    /// <summary>A whole stream with its usage.</summary>
    public static async Task AnswerAsync(HttpContext context)
    {
        await FakeReplica.EventAsync(
            context, """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""");
        await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}""");
        await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await FakeReplica.EventAsync(context, """{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}""");
        await FakeReplica.EventAsync(context, "[DONE]");
    }

    private static async Task<WebApplication> SelfSignedAsync()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("https://127.0.0.1:0");
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(options => options.ConfigureHttpsDefaults(https => https.ServerCertificate = certificate));
        var app = builder.Build();
        app.Run(AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    [GeneratedRegex("x-valuecanvas-attempts: ([0-9]+)")]
    private static partial Regex TrailingAttempts();

    [GeneratedRegex("\"prompt_tokens\":([0-9]+),\"completion_tokens\":([0-9]+)")]
    private static partial Regex Usage();
}

/// <summary>What one request came to: what the client got, attempts as it was told, requests that reached a server, tokens that were
/// reported (prompt+completion), and the real time until the end.</summary>
internal sealed record Bricks(string Client, string Attempts, int Reached, string Usage, TimeSpan Took);
