using System.Diagnostics;
using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>A breaker's transitions as log line, metric and span event; further attempts and refused ones as metrics.</summary>
internal sealed partial class ResilienceSignals
{
    public const string MeterName = "ValueCanvas.InferenceProxy.Resilience";

    private readonly Counter<long> _transitions;
    private readonly Counter<long> _retries;
    private readonly Counter<long> _exhausted;
    private readonly ILogger<ResilienceSignals> _logger;

    public ResilienceSignals(IMeterFactory meters, ILogger<ResilienceSignals> logger)
    {
        _logger = logger;
        var meter = meters.Create(MeterName);
        _transitions = meter.CreateCounter<long>("valuecanvas.inference.breaker.transitions",
            "{transition}", "Changes of a breaker's state.");
        _retries = meter.CreateCounter<long>("valuecanvas.inference.retries", "{attempt}", "Attempts after a failed one, by its cause.");
        _exhausted = meter.CreateCounter<long>(
            "valuecanvas.inference.retries.refused", "{request}", "Requests that had no further attempt: the budget was spent.");
    }

    public void Moved(BreakerTransition? transition, Activity? span)
    {
        if (transition is null || transition.From == transition.To)
            return;

        var (from, to) = (transition.From.Label(), transition.To.Label());
        Log.Moved(_logger, transition.Model, transition.Replica, from, to, transition.Reason);
        KeyValuePair<string, object?>[] tags =
        [
            new(GenAi.Target, transition.Replica), new(GenAi.Model, transition.Model), new("from", from), new("to", to),
            new("reason", transition.Reason),
        ];
        _transitions.Add(1, tags);
        span?.AddEvent(new ActivityEvent("breaker.transition", tags: new ActivityTagsCollection(tags)));
    }

    public void Retried(AttemptFailure cause) => _retries.Add(1, new KeyValuePair<string, object?>("cause", cause.Label()));

    public void BudgetSpent() => _exhausted.Add(1);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Breaker of {Model} at {Replica}: {From} → {To} ({Reason})")]
        public static partial void Moved(ILogger logger, string model, string replica, string from, string to, string reason);
    }
}
