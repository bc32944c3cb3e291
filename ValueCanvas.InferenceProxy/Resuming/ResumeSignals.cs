using System.Diagnostics;
using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>Broken streams that went on, or did not, as metric and span event.</summary>
internal sealed partial class ResumeSignals(IMeterFactory meters, ILogger<ResumeSignals> logger)
{
    private readonly Counter<long> _resumes = meters.Create(InferenceMetrics.MeterName).CreateCounter<long>(
        "valuecanvas.inference.resumes", "{attempt}", "Attempts to go on with a broken stream, by mode and outcome.");

    public void Began(Attempt attempt, ResumeMode mode, int tokens)
    {
        Log.GoesOn(logger, attempt.Replica.Name, mode.Label(), tokens);
        attempt.Span?.AddEvent(new ActivityEvent("stream.resumed",
            tags: new ActivityTagsCollection { { "mode", mode.Label() }, { "tokens", tokens } }));
    }

    public void Ended(ResumeMode mode, bool whole) => Add(mode.Label(), whole ? "whole" : "broke");

    /// <summary>Nothing but the stream's end was missing.</summary>
    public void Finished() => Add("none", "whole");

    /// <summary>Nobody could be asked.</summary>
    public void Unavailable() => Add("none", "unavailable");

    private void Add(string mode, string outcome) =>
        _resumes.Add(1, new KeyValuePair<string, object?>("mode", mode), new KeyValuePair<string, object?>("outcome", outcome));

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "A broken stream goes on at {Replica} ({Mode}) after {Tokens} tokens")]
        public static partial void GoesOn(ILogger logger, string replica, string mode, int tokens);
    }
}
