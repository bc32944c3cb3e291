using System.Diagnostics;
using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Telemetry;

/// <summary>What answers cost in tokens, how fast these come, and how well the proxy knows what servers have cached.</summary>
internal sealed class TokenMetrics
{
    // Boundaries as the conventions give them.
    private static readonly long[] TokenBuckets =
        [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];
    private static readonly double[] PerTokenBuckets = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

    private readonly Histogram<long> _usage;
    private readonly Histogram<double> _perToken;
    private readonly Histogram<double> _perChunk;
    private readonly Counter<long> _cached;
    private readonly BytesPerToken _bytesPerToken;
    private readonly TimeProvider _time;

    public TokenMetrics(IMeterFactory meters, BytesPerToken bytesPerToken, TimeProvider time)
    {
        (_bytesPerToken, _time) = (bytesPerToken, time);
        var meter = meters.Create(InferenceMetrics.MeterName);
        _usage = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of prompts and of answers, as servers report them.",
            advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = TokenBuckets });
        _perToken = meter.CreateHistogram(
            "gen_ai.server.time_per_output_token", "s", "Time per token of a streamed answer behind the first.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = PerTokenBuckets });
        _perChunk = meter.CreateHistogram(
            "gen_ai.client.operation.time_per_output_chunk", "s", "Time between two chunks of a streamed answer.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = InferenceMetrics.DurationBuckets });
        _cached = meter.CreateCounter<long>("valuecanvas.inference.prefix.cached_tokens", "{token}",
            "Tokens of prompts that routing believed to be cached (source predicted), and that were (source reported).");
    }

    /// <summary>For the chunks of one stream; null when nobody listens.</summary>
    public ChunkGaps? Gaps(ForwardedCall call, ForwardedCall.Target target) => _perChunk.Enabled
        ? new ChunkGaps(_perChunk, [.. GenAi.Labels(call.Operation, target.Model.Model, target.Replica)], _time)
        : null;

    /// <summary>Books what the server says that an answer cost, and learns from it.</summary>
    public void Used(RunningAttempt running, Usage usage)
    {
        var (call, target, attempt) = (running.Call, running.Target, running.Attempt);
        var model = target.Model.Model;
        if (call.Prefix?.IsCut is not true)
            _bytesPerToken.Learned(model, call.Prefix?.Bytes ?? call.Peek.Fields.PromptBytes, usage.PromptTokens);

        var labels = GenAi.Labels(call.Operation, model, target.Replica);
        if (running.Failure == AttemptFailure.None && attempt.IsEventStream && usage.CompletionTokens > 1)
            _perToken.Record((attempt.Elapsed - attempt.FirstContent).TotalSeconds / (usage.CompletionTokens - 1), labels);

        if (_usage.Enabled)
        {
            Record("input", usage.PromptTokens, labels);
            Record("output", usage.CompletionTokens, labels);
        }

        Cached(target.Place, call.Prefix is not null, usage, model);
    }

    private void Record(string type, int tokens, TagList labels)
    {
        labels.Add("gen_ai.token.type", type);
        _usage.Record(tokens, labels);
    }

    // A server that was never heard of a cached token does not count them.
    private void Cached(Placement place, bool predicted, Usage usage, string model)
    {
        var load = place.Replica.Load;
        load.ReportsCachedTokens |= usage.CachedTokens > 0;
        if (predicted && load.ReportsCachedTokens)
        {
            var expected = (long)Math.Min(place.Cached / _bytesPerToken.Of(model), usage.PromptTokens);
            _cached.Add(expected, new(GenAi.Model, model), new("source", "predicted"));
            _cached.Add(usage.CachedTokens, new(GenAi.Model, model), new("source", "reported"));
        }
    }
}
