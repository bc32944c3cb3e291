using System.Collections.Frozen;
using System.Runtime.InteropServices;
using System.Text;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.VllmSimulator;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

/// <summary>
/// Simulated model servers behind the product's own picker, on virtual time: an hour passes in seconds, the same way every time.
/// </summary>
internal sealed class SimulatedFleet
{
    private const string Model = "small-model";

    // What the servers' /metrics say is read once a second, as by default.
    private static readonly TimeSpan Reading = TimeSpan.FromSeconds(1);

    private readonly SteppedClock _clock = new();
    private readonly Server[] _servers;
    private readonly Topology _topology;
    private readonly ReplicaPicker _picker;
    private readonly PriorityQueue<Request, (TimeSpan At, long Number)> _arrivals = new();
    private TimeSpan _nextReading = Reading;
    private long _number;

    public SimulatedFleet(string policy, int servers, int kvBlocks)
    {
        var options = new InferenceOptions { Routing = { Policy = policy } };
        _servers = [.. Enumerable.Range(0, servers).Select(i => new Server(i, kvBlocks, _clock))];
        var replicas = _servers.Select(server => server.Replica).ToArray();
        var aliases = new ModelAliases(options);
        _topology = new Topology(
            options, replicas, aliases, new ModelRoutes(options, replicas, aliases), new Dictionary<string, Upstream>(),
            HostAddresses.None);
        _picker = new ReplicaPicker(_clock, new Random(7), new BytesPerToken());
    }

    public List<TimeSpan> FirstTokens { get; } = [];

    public long PromptTokens { get; private set; }

    public long CachedTokens { get; private set; }

    public long OutputTokens { get; private set; }

    public TimeSpan Now => TimeSpan.FromTicks(_clock.GetTimestamp());

    public double HitRate => (double)CachedTokens / PromptTokens;

    public double TokensPerSecond => (PromptTokens + OutputTokens) / Now.TotalSeconds;

    public TimeSpan FirstToken(double quantile) => FirstTokens.Order().ElementAt((int)(quantile * (FirstTokens.Count - 1)));

    /// <param name="at">When the request arrives.</param>
    /// <param name="messages">Each of four bytes a token, ASCII without quotes.</param>
    /// <param name="answer">The same for the answer.</param>
    /// <param name="then">What follows when the answer is out.</param>
    public void Ask(TimeSpan at, IReadOnlyList<string> messages, string answer, Action? then = null) =>
        _arrivals.Enqueue(new Request(messages, answer, then), (at, _number++));

    public void RunToEnd()
    {
        while (true)
        {
            var step = _servers.Where(s => s.Ends is not null).MinBy(s => s.Ends);
            var arrival = _arrivals.TryPeek(out _, out var next) ? next.At : TimeSpan.MaxValue;
            if (step is null && arrival == TimeSpan.MaxValue)
                return;

            _clock.Advance((step?.Ends < arrival ? step.Ends.Value : arrival) - Now);
            if (Now >= _nextReading)
            {
                Array.ForEach(_servers, server => server.Say());
                _nextReading = Now + Reading;
            }

            if (step?.Ends <= arrival)
                step.Complete(this);
            else
                Place(_arrivals.Dequeue());
        }
    }

    private void Place(Request request)
    {
        var messages = string.Join(',', request.Messages.Select((text, i) =>
        {
            var role = i == 0 ? "system" : i % 2 == 1 ? "user" : "assistant";
            return $$"""{"role":"{{role}}","content":"{{text}}"}""";
        }));
        var body = Encoding.ASCII.GetBytes($$"""{"model":"{{Model}}","messages":[{{messages}}]}""");
        Assert.Null(RequestPeek.Read(body, out var peek));
        using var prefix = PromptPrefix.Of(body, peek.Fields, "", peek.Model);
        var placement = _picker.Pick(
            _topology.Replicas, _topology.Options, new RouteRequest(
                peek.Model, Streamed: true, peek.Fields.PromptBytes, prefix), null, out _);
        Assert.NotNull(placement);
        var prompt = MemoryMarshal.Cast<byte, int>(Encoding.ASCII.GetBytes(string.Concat(request.Messages))).ToArray();
        var output = MemoryMarshal.Cast<byte, int>(Encoding.ASCII.GetBytes(request.Answer)).ToArray();
        Array.Find(_servers, server => server.Replica == placement.Replica)!
            .Add(new Under(request, new Sequence(prompt, output, FinishReason.Stop), placement), Now);
    }

    private void Began(Sequence sequence)
    {
        FirstTokens.Add(sequence.FirstTokenAt - sequence.ArrivedAt);
        PromptTokens += sequence.Prompt.Length;
        CachedTokens += sequence.Cached;
        OutputTokens += sequence.Output.Length;
    }

    private sealed record Request(IReadOnlyList<string> Messages, string Answer, Action? Then);

    private sealed record Under(Request Request, Sequence Sequence, Placement Placement)
    {
        public bool Began { get; set; }
    }

    private sealed class Server
    {
        private readonly SimulatorOptions _options;
        private readonly Scheduler _scheduler;
        private readonly List<Under> _under = [];

        public Server(int index, int kvBlocks, TimeProvider time)
        {
            _options = new SimulatorOptions { KvBlocks = kvBlocks };
            _scheduler = new Scheduler(_options, new EngineMetrics());
            Replica = new Replica(
                Upstream.From("vllm", new ProviderOptions(), [], null, time), $"vllm-{index}", new Uri($"http://vllm-{index}"), time);
            Replica.Answered(FrozenDictionary.ToFrozenDictionary(
                new Dictionary<string, ServedModel> { [Model] = new(Model, 0, "", null) }));
            Say();
        }

        public Replica Replica { get; }

        /// <summary>When the step under way ends.</summary>
        public TimeSpan? Ends { get; private set; }

        public void Say() => Replica.Load.Live =
            new LiveLoad(_scheduler.Running, _scheduler.Waiting, _scheduler.Blocks.Usage, _options.KvBlocks * _options.BlockSize,
                Foreign: 0);

        public void Add(Under under, TimeSpan now)
        {
            _under.Add(under);
            _scheduler.Add(under.Sequence, now);
            Ends ??= now + _scheduler.Plan(now);
        }

        public void Complete(SimulatedFleet fleet)
        {
            var now = Ends!.Value;
            _scheduler.Complete(now);
            foreach (var under in _under.ToArray())
            {
                if (!under.Began && under.Sequence.Emitted > 0)
                {
                    under.Began = true;
                    under.Placement.Began();
                    fleet.Began(under.Sequence);
                }

                if (under.Sequence.Ended)
                {
                    _under.Remove(under);
                    under.Placement.Dispose();
                    under.Request.Then?.Invoke();
                }
            }

            Ends = now + _scheduler.Plan(now);
        }
    }
}
