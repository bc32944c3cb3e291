using ValueCanvas.VllmSimulator;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.Tests.VllmSimulator;

/// <summary>The scheduler on virtual time: each step takes exactly what it costs.</summary>
internal sealed class VirtualEngine
{
    public VirtualEngine(Action<SimulatorOptions>? configure = null)
    {
        configure?.Invoke(Options);
        Scheduler = new Scheduler(Options, Metrics);
    }

    public SimulatorOptions Options { get; } = new();

    public EngineMetrics Metrics { get; } = new();

    public Scheduler Scheduler { get; }

    public TimeSpan Now { get; private set; }

    public static int[] Tokens(int count, int first = 2_000_000) => [.. Enumerable.Range(first, count)];

    public Sequence Add(int prompt, int output, int priority = 0, int first = 2_000_000, ulong salt = 0)
    {
        var sequence = new Sequence(Tokens(prompt, first), Tokens(output), FinishReason.Stop, priority, salt);
        Scheduler.Add(sequence, Now);
        return sequence;
    }

    public bool Step()
    {
        if (Scheduler.Plan(Now) is not { } cost)
            return false;
        Now += cost;
        Scheduler.Complete(Now);
        return true;
    }

    public void Run(int steps)
    {
        for (var i = 0; i < steps; i++)
            Assert.True(Step());
    }

    public void RunToEnd()
    {
        for (var i = 0; Step(); i++)
            Assert.True(i < 100_000, "The engine does not come to an end.");
    }

    public string MetricsText()
    {
        var text = new PrometheusText("model");
        Metrics.Write(text);
        return text.ToString();
    }
}
