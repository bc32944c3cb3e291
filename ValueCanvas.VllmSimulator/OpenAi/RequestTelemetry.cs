using System.Diagnostics;
using ValueCanvas.VllmSimulator.Generation;

namespace ValueCanvas.VllmSimulator.OpenAi;

/// <summary>The attributes that vLLM's own tracing puts on a request, here on the server span.</summary>
internal static class RequestTelemetry
{
    public static void Tag(Reply reply, GenerationRequest request)
    {
        if (Activity.Current is not { IsAllDataRequested: true } span)
            return;

        var first = reply.Sequences[0];
        span.SetTag("gen_ai.request.id", reply.Id);
        span.SetTag("gen_ai.request.model", reply.Model);
        span.SetTag("gen_ai.request.n", reply.Sampling.Choices);
        span.SetTag("gen_ai.request.max_tokens", reply.Sampling.MaxTokens);
        span.SetTag("gen_ai.request.temperature", request.Temperature ?? 1);
        span.SetTag("gen_ai.request.top_p", request.TopP ?? 1);
        span.SetTag("gen_ai.response.model", reply.Model);
        span.SetTag("gen_ai.response.finish_reasons", Array.ConvertAll(reply.Completions, (Completion completion) => completion.FinishName));
        span.SetTag("gen_ai.usage.prompt_tokens", reply.PromptTokens);
        span.SetTag("gen_ai.usage.completion_tokens", reply.CompletionTokens);
        span.SetTag("gen_ai.usage.cached_tokens", reply.CachedTokens);
        span.SetTag("gen_ai.latency.time_in_queue", (first.ScheduledAt - first.ArrivedAt).TotalSeconds);
        span.SetTag("gen_ai.latency.time_to_first_token", (first.FirstTokenAt - first.ArrivedAt).TotalSeconds);
        span.SetTag("gen_ai.latency.e2e", (first.LastTokenAt - first.ArrivedAt).TotalSeconds);
    }
}
