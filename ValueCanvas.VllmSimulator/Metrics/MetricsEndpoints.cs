using System.Globalization;
using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Engine;

namespace ValueCanvas.VllmSimulator.Metrics;

internal static class MetricsEndpoints
{
    private const string Version = "0.15.0";

    /// <summary>/metrics, and vLLM's small status endpoints: /health and /ping are an empty 200.</summary>
    public static void MapStatusEndpoints(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/health", () => Results.Ok());
        routes.MapMethods("/ping", ["GET", "POST"], () => Results.Ok());
        routes.MapGet("/version", () => Results.Text($$"""{"version":"{{Version}}"}""", "application/json"));
        routes.MapGet("/load", (InferenceEngine engine) =>
            Results.Text($$"""{"server_load":{{engine.Read((_, state) => state.Running + state.Waiting)}}}""", "application/json"));
        routes.MapGet("/metrics", (InferenceEngine engine, IOptions<SimulatorOptions> options) =>
            Results.Text(Render(engine, options.Value), "text/plain; version=0.0.4; charset=utf-8"));
    }

    private static string Render(InferenceEngine engine, SimulatorOptions options)
    {
        var text = new PrometheusText(options.Model);
        engine.Read((metrics, state) =>
        {
            text.Gauge("vllm:num_requests_running", "Number of requests in model execution batches.", state.Running);
            text.Gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", state.Waiting);
            text.Gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", state.KvCacheUsage);
            metrics.Write(text);
            return true;
        });
        text.Info("vllm:cache_config_info", "Information of the LLMEngine CacheConfig",
            ("block_size", options.BlockSize.ToString(CultureInfo.InvariantCulture)),
            ("cache_dtype", "auto"),
            ("enable_prefix_caching", "True"),
            ("engine", "0"),
            ("gpu_memory_utilization", "0.9"),
            ("num_gpu_blocks", options.KvBlocks.ToString(CultureInfo.InvariantCulture)));
        return text.ToString();
    }
}
