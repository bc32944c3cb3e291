using System.Text.Json;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Generation;

namespace ValueCanvas.VllmSimulator.OpenAi;

/// <summary>vLLM's checks of the sampling fields, in its words, and the sampling that comes out of them.</summary>
internal static class RequestRules
{
    private const int MaxChoices = 128;

    public static ApiError? Check(GenerationRequest request, SimulatorOptions options)
    {
        if (!options.Serves(request.Model))
            return ApiError.UnknownModel(request.Model!);
        if (request.N is { } n && n is < 1 or > MaxChoices)
            return Bad($"n must be between 1 and {MaxChoices}, got {n}.", "n");
        if (request.Temperature is { } temperature && !(temperature is >= 0 and <= 1e6))
            return Bad($"temperature must be non-negative, got {temperature}.", "temperature");
        if (request.TopP is { } topP && !(topP is > 0 and <= 1))
            return Bad($"top_p must be in (0, 1], got {topP}.", "top_p");
        if (request.TopK is { } topK && topK < -1)
            return Bad($"top_k must be 0 (disable), or at least 1, got {topK}.", "top_k");
        if (request.PresencePenalty is { } presence && !(presence is >= -2 and <= 2))
            return Bad($"presence_penalty must be in [-2, 2], got {presence}.", "presence_penalty");
        if (request.FrequencyPenalty is { } frequency && !(frequency is >= -2 and <= 2))
            return Bad($"frequency_penalty must be in [-2, 2], got {frequency}.", "frequency_penalty");
        if (request.MinTokens is < 0)
            return Bad($"min_tokens must be greater than or equal to 0, got {request.MinTokens}.", "min_tokens");
        if (request.StreamOptions is not null && request.Stream != true)
            return Bad("Stream options can only be defined when `stream=True`.", "stream_options");
        if (request.CacheSalt is "")
            return Bad("Parameter 'cache_salt' must be a non-empty string if provided.", "cache_salt");
        if (request.CacheSalt is { Length: > 128 })
            return Bad("Parameter 'cache_salt' must have at most 128 characters.", "cache_salt");
        if (request.Priority is { } priority and not 0 && !options.HonoursPriority)
            return Bad($"Got priority {priority} but Priority scheduling is not enabled.", "priority");
        return ReadStop(request.Stop) is null ? Bad("stop must be a string or an array of non-empty strings.", "stop") : null;
    }

    /// <summary>The token limit, or vLLM's refusal of a prompt or a limit that the context does not hold.</summary>
    public static (Sampling? Sampling, ApiError? Error) Sampling(GenerationRequest request, int? asked, int? @default, int promptTokens, SimulatorOptions options, int? logprobs)
    {
        if (asked is < 1)
            return (null, Bad($"max_tokens must be at least 1, got {asked}.", "max_tokens"));
        if (promptTokens >= options.MaxModelLen)
        {
            return (null, Bad($"This model's maximum context length is {options.MaxModelLen} tokens. However, your request has {promptTokens} input "
                + "tokens. Please reduce the length of the input messages.", "input_tokens"));
        }

        var room = options.MaxModelLen - promptTokens;
        if (asked > room)
        {
            return (null, Bad($"'max_tokens' or 'max_completion_tokens' is too large: {asked}. This model's maximum context length is "
                + $"{options.MaxModelLen} tokens and your request has {promptTokens} input tokens ({asked} > {options.MaxModelLen} - {promptTokens}).",
                "max_tokens"));
        }
        var limit = asked ?? Math.Min(@default ?? room, room);
        if (request.MinTokens > limit)
            return (null, Bad($"min_tokens must be less than or equal to max_tokens={limit}, got {request.MinTokens}.", "min_tokens"));
        if (logprobs is < 0 or > 20)
            return (null, Bad($"Requested sample logprobs of {logprobs}, which is greater than max allowed: 20", "logprobs"));

        return (new Sampling
        {
            MaxTokens = limit,
            MinTokens = request.MinTokens ?? 0,
            Choices = request.N ?? 1,
            Greedy = request.Temperature is 0,
            Seed = request.Seed ?? 0,
            Stop = ReadStop(request.Stop)!,
            StopTokenIds = request.StopTokenIds ?? [],
            IncludeStop = request.IncludeStopStrInOutput == true,
            IgnoreEos = request.IgnoreEos == true,
            Logprobs = logprobs,
        }, null);
    }

    private static List<string>? ReadStop(JsonElement? stop)
    {
        switch (stop?.ValueKind)
        {
            case null or JsonValueKind.Null or JsonValueKind.Undefined: return [];
            case JsonValueKind.String: return stop.Value.GetString() is { Length: > 0 } one ? [one] : null;
            case JsonValueKind.Array:
                var all = new List<string>();
                foreach (var item in stop.Value.EnumerateArray())
                {
                    if (item.ValueKind != JsonValueKind.String || item.GetString() is not { Length: > 0 } text)
                        return null;
                    all.Add(text);
                }
                return all;
            default: return null;
        }
    }

    private static ApiError Bad(string message, string param) => ApiError.BadRequest(message, param);
}
