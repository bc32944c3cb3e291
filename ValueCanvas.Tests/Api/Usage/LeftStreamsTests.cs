using System.Diagnostics;
using System.Net;
using System.Text;
using Npgsql;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Api.Usage;

/// <summary>
/// Streams that are left, through Api, proxy and simulator as they are. The simulator's steps are long beside the way that a word of it
/// takes on a busy machine, so that what is asked can be held to the step.
/// </summary>
public sealed class LeftStreamsTests(ServersFixture servers) : IAsyncLifetime
{
    private const string InternalKey = "the-internal-key-of-tests";
    private const int Tokens = 6;

    private static readonly string Stream =
        $$"""
        {"model":"default","stream":true,"max_tokens":{{Tokens}},"ignore_eos":true,
        "messages":[{"role":"user","content":"Tell me about tea."}]}
        """;

    private SimulatorServer _simulator = null!;
    private ProxyHost _proxy = null!;
    private ApiHost _api = null!;
    private string _admin = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _simulator = SimulatorServer.Start(("ZeroDelay", "false"), ("StepBaseMilliseconds", "400"));
        _proxy = ProxyHost.Start(
            [_simulator.Address.ToString().TrimEnd('/')],
            ("Inference:DefaultModel", SimulatorServer.Model), ("Inference:InternalKey", InternalKey),
            ("Inference:Hedging:Enabled", "false"));
        _admin = await servers.CreateDatabaseAsync("left");
        _api = new ApiHost(
            _proxy.Client.BaseAddress!.ToString().TrimEnd('/'), await ApiDatabase.MigrateAsync(_admin), servers.Redis,
            ("Inference:InternalKey", InternalKey), ("Usage:Prices:0:Model", SimulatorServer.Model), ("Usage:Prices:0:Output", "100"),
            ("RateLimiting:Enabled", "false"));
        await ProxyHost.UntilAsync(async () => (await _api.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _proxy.DisposeAsync();
        _simulator.Dispose();
    }

    [Fact]
    public async Task AFifthLeftAtRandom_IsBilledWithinOneStepOfWhatWasProduced_AndTheReplicaIsIdleWithinASecond()
    {
        // 1. Each event of content is a token; the first one says the role.
        const int streams = 40;
        const int left = streams / 5;
        var random = new Random(7);
        var before = await ProducedAsync();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(i => ReadAsync(i < left ? random.Next(1, Tokens) : null)));
        await UntilRowsAsync(streams);
        await _simulator.WaitForMetricAsync("vllm:num_requests_running", running => running == 0);

        var produced = await ProducedAsync() - before;
        Assert.Equal(
            "cancelled running, completed reported",
            await ScalarAsync<string>("SELECT string_agg(DISTINCT status || ' ' || usage_source, ', ') FROM llm_usage"));
        Assert.Equal(
            (streams - left) * Tokens,
            await ScalarAsync<long>("SELECT sum(output_tokens) FROM llm_usage WHERE status = 'completed'"));
        Assert.InRange(produced - await ScalarAsync<long>("SELECT sum(output_tokens) FROM llm_usage"), 0, left);

        // 2. All that run are left at once.
        await Effect.WithinASecondAsync(async () =>
        {
            var gone = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ReadAsync(leaveAfter: 1)));
            await _simulator.WaitForMetricAsync("vllm:num_requests_running", running => running == 0);
            return Stopwatch.GetElapsedTime(gone.Max());
        });
    }

    /// <summary>When the stream was left, or had ended.</summary>
    private async Task<long> ReadAsync(int? leaveAfter)
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = _api.Address };
        client.DefaultRequestHeaders.Authorization = new("Bearer", ApiHost.Key);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(Stream, Encoding.UTF8, "application/json"),
        };
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var events = 0;
        while (await reader.ReadLineAsync(Cancellation) is { } line)
        {
            events += line.StartsWith("data: ", StringComparison.Ordinal) ? 1 : 0;
            if (events > leaveAfter)
                break;
        }

        return Stopwatch.GetTimestamp();
    }

    private Task UntilRowsAsync(int rows) =>
        UsageWriterTests.UntilAsync(async () => await ScalarAsync<long>("SELECT count(*) FROM llm_usage") == rows);

    private Task<double> ProducedAsync() => _simulator.MetricAsync("vllm:generation_tokens_total");

    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection(UsageHost.AsOperator(_admin));
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }
}
