using System.Diagnostics;
using OpenTelemetry.Trace;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>
/// Drops what would bury the traces worth reading: probes of the health endpoints, client calls without a parent, which are the
/// polls of background loops (work that such a loop takes up starts a span of its own), and the other side of a call whose caller
/// dropped it. Everything else is the inner sampler's decision.
/// </summary>
internal sealed class NoiseSampler(Sampler inner) : Sampler
{
    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        var noise = samplingParameters.Kind switch
        {
            ActivityKind.Server => IsDroppedByCaller(samplingParameters.ParentContext) || IsProbe(samplingParameters.Tags),
            ActivityKind.Client => samplingParameters.ParentContext.TraceId == default,
            _ => false,
        };
        return noise ? new SamplingResult(SamplingDecision.Drop) : inner.ShouldSample(samplingParameters);
    }

    private static bool IsDroppedByCaller(ActivityContext caller) =>
        caller.IsRemote && (caller.TraceFlags & ActivityTraceFlags.Recorded) == 0;

    private static bool IsProbe(IEnumerable<KeyValuePair<string, object?>>? tags)
    {
        foreach (var tag in tags ?? [])
        {
            if (tag is { Key: "url.path", Value: string path })
            {
                return path is "/health" or "/ready" or "/api/health"
                    || path.StartsWith("/health/", StringComparison.Ordinal)
                    || path.StartsWith("/api/health/", StringComparison.Ordinal);
            }
        }

        return false;
    }
}
