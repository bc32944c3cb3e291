using System.Globalization;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>Four fresh simulated replicas with empty caches behind a fresh proxy with the given policy.</summary>
internal sealed class SimulatedFleet : IDisposable
{
    public const int Replicas = 4;
    public static readonly string[] Policies = ["round-robin", "least-load", "prefix-aware"];

    private readonly Servers _servers;
    private readonly List<(int Port, ServerProcess Process)> _simulators;
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(10) };

    private SimulatedFleet(Servers servers, List<(int Port, ServerProcess Process)> simulators, Target proxy) =>
        (_servers, _simulators, Proxy) = (servers, simulators, proxy);

    public Target Proxy { get; }

    public static async Task<SimulatedFleet> StartAsync(Servers servers, string policy, int kvBlocks, CancellationToken cancellationToken)
    {
        var simulators = new List<(int Port, ServerProcess Process)>();
        for (var i = 0; i < Replicas; i++)
            simulators.Add(await servers.SimulatorAsync($"simulator-{i}", kvBlocks, cancellationToken));

        var proxy = await servers.ProxyAsync($"proxy-{policy}", [.. simulators.Select(s => $"127.0.0.1:{s.Port}")], null,
            new() { [Servers.PolicyVariable] = policy }, cancellationToken);
        // Ready means one replica; the comparison needs all of them.
        using var client = new HttpClient();
        for (var i = 0; i < 100; i++)
        {
            var providers = await client.GetStringAsync(new Uri($"http://127.0.0.1:{proxy.Port}/providers"), cancellationToken);
            if (providers.Split("\"state\":\"up\"").Length - 1 == Replicas)
                return new SimulatedFleet(servers, simulators, proxy);

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellationToken);
        }

        throw new InvalidOperationException("The proxy does not see all simulated replicas.");
    }

    /// <summary>Counters of all replicas together.</summary>
    public async Task<Counters> ReadAsync(CancellationToken cancellationToken)
    {
        var sum = new Counters(0, 0, 0, 0, 0);
        foreach (var (port, _) in _simulators)
        {
            var text = await _client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"), cancellationToken);
            double Value(string name) => text.Split('\n').Where(l => l.StartsWith(name, StringComparison.Ordinal))
                .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
            sum = new Counters(
                sum.Queried + Value("vllm:prefix_cache_queries_total{"), sum.Hit + Value("vllm:prefix_cache_hits_total{"),
                sum.Prompt + Value("vllm:prompt_tokens_total{"), sum.Generated + Value("vllm:generation_tokens_total{"),
                sum.Preempted + Value("vllm:num_preemptions_total{"));
        }

        return sum;
    }

    public void Dispose()
    {
        _servers.Stop(Proxy.Process!);
        _simulators.ForEach(s => _servers.Stop(s.Process));
        _client.Dispose();
    }
}

/// <summary>Tokens looked up in and found in the prefix caches, tokens of prompts and answers, sequences preempted.</summary>
internal sealed record Counters(double Queried, double Hit, double Prompt, double Generated, double Preempted)
{
    public static Counters operator -(Counters a, Counters b) =>
        new(a.Queried - b.Queried, a.Hit - b.Hit, a.Prompt - b.Prompt, a.Generated - b.Generated, a.Preempted - b.Preempted);
}
