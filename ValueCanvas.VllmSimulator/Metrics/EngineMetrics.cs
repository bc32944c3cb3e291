using ValueCanvas.VllmSimulator.Engine;

namespace ValueCanvas.VllmSimulator.Metrics;

/// <summary>What vLLM counts, under its names and buckets (vllm/v1/metrics/loggers.py). The engine's lock guards it.</summary>
internal sealed class EngineMetrics
{
    private static readonly double[] LatencyBounds =
    [
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
    ];

    private static readonly double[] TokenBounds =
        [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

    private readonly Histogram _firstToken = new("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.",
    [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
    ]);

    private readonly Histogram _interToken = new("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.",
    [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    ]);

    private readonly Histogram _perOutputToken =
        new("vllm:request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.",
        [
            0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        ]);

    private readonly Histogram _iterationTokens =
        new("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.",
        [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]);

    private readonly Histogram _computedTokens = new("vllm:request_prefill_kv_computed_tokens",
        "Histogram of new KV tokens computed during prefill (excluding cached tokens).", TokenBounds);

    private readonly Histogram _endToEnd =
        new("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", LatencyBounds);
    private readonly Histogram _queue =
        new("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", LatencyBounds);
    private readonly Histogram _inference =
        new("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", LatencyBounds);
    private readonly Histogram _prefill =
        new("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", LatencyBounds);
    private readonly Histogram _decode =
        new("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", LatencyBounds);
    private readonly Histogram _promptTokens = new("vllm:request_prompt_tokens", "Number of prefill tokens processed.", TokenBounds);
    private readonly Histogram _generationTokens =
        new("vllm:request_generation_tokens", "Number of generation tokens processed.", TokenBounds);
    private readonly long[] _finished = new long[3];
    private long _prefixQueries;
    private long _prefixHits;
    private long _prompt;
    private long _promptCached;
    private long _generation;
    private long _preemptions;

    public void PrefixLookup(int queried, int hit)
    {
        _prefixQueries += queried;
        _prefixHits += hit;
    }

    public void PromptComputed(int tokens, int cached)
    {
        _prompt += tokens;
        _promptCached += cached;
    }

    public void Step(int tokens) => _iterationTokens.Observe(tokens);

    public void FirstToken(TimeSpan sinceArrival)
    {
        _generation++;
        _firstToken.Observe(sinceArrival.TotalSeconds);
    }

    public void NextTokens(int count, TimeSpan each)
    {
        _generation += count;
        _interToken.Observe(each.TotalSeconds, count);
    }

    public void Preempted() => _preemptions++;

    public void Finished(Sequence sequence, FinishReason reason, TimeSpan now)
    {
        _finished[(int)reason]++;
        _endToEnd.Observe((now - sequence.ArrivedAt).TotalSeconds);
        if (sequence.Cached < 0)
            return;

        var lastToken = sequence.Emitted > 0 ? sequence.LastTokenAt : now;
        var firstToken = sequence.Emitted > 0 ? sequence.FirstTokenAt : now;
        _queue.Observe((sequence.ScheduledAt - sequence.ArrivedAt).TotalSeconds);
        _prefill.Observe((firstToken - sequence.ScheduledAt).TotalSeconds);
        _decode.Observe((lastToken - firstToken).TotalSeconds);
        _inference.Observe((lastToken - sequence.ScheduledAt).TotalSeconds);
        _promptTokens.Observe(sequence.Prompt.Length);
        _generationTokens.Observe(sequence.Emitted);
        _computedTokens.Observe(sequence.Prompt.Length - sequence.Cached);
        if (sequence.Emitted > 1)
            _perOutputToken.Observe((lastToken - firstToken).TotalSeconds / (sequence.Emitted - 1));
    }

    public void Write(PrometheusText text)
    {
        text.Counter("vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.", _prefixQueries);
        text.Counter("vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", _prefixHits);
        text.Counter("vllm:num_preemptions", "Cumulative number of preemption from the engine.", _preemptions);
        text.Counter("vllm:prompt_tokens", "Number of prefill tokens processed.", _prompt);
        text.Header("vllm:prompt_tokens_by_source_total", "Number of prompt tokens by source.", "counter");
        text.Sample("vllm:prompt_tokens_by_source_total", _prompt - _promptCached, ("source", "local_compute"));
        text.Sample("vllm:prompt_tokens_by_source_total", _promptCached, ("source", "local_cache_hit"));
        text.Sample("vllm:prompt_tokens_by_source_total", 0, ("source", "external_kv_transfer"));
        text.Counter("vllm:prompt_tokens_cached", "Number of cached prompt tokens (local + external).", _promptCached);
        text.Counter("vllm:generation_tokens", "Number of generation tokens processed.", _generation);
        text.Header("vllm:request_success_total", "Count of successfully processed requests.", "counter");
        foreach (var reason in Enum.GetValues<FinishReason>())
            text.Sample("vllm:request_success_total", _finished[(int)reason], ("finished_reason", Name(reason)));
        text.Sample("vllm:request_success_total", 0, ("finished_reason", "error"));
        foreach (var histogram in (ReadOnlySpan<Histogram>)
            [_promptTokens, _generationTokens, _computedTokens, _iterationTokens, _firstToken, _interToken, _perOutputToken, _endToEnd,
                _queue, _inference, _prefill, _decode])
        {
            histogram.Write(text);
        }
    }

    private static string Name(FinishReason reason) => reason switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length => "length",
        _ => "abort",
    };
}
