using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>A chat's usage in Anthropic's terms, where input tokens are those that no cache had.</summary>
internal static class MessagesUsage
{
    public static AnthropicUsage Of(JsonElement completion)
    {
        if (Get(completion, "usage", JsonValueKind.Object) is not { } usage)
            return default;

        var details = Get(usage, "prompt_tokens_details", JsonValueKind.Object) ?? default;
        var (read, written) = (Number(details, "cached_tokens"), Number(details, "cache_write_tokens"));
        var fresh = Math.Max(0, Number(usage, "prompt_tokens") - read - written);
        return new AnthropicUsage(fresh, read, written, Number(usage, "completion_tokens"));
    }

    public static void Write(Utf8JsonWriter json, AnthropicUsage usage)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("input_tokens"u8, usage.Input);
        json.WriteNumber("cache_creation_input_tokens"u8, usage.CacheWrite);
        json.WriteNumber("cache_read_input_tokens"u8, usage.CacheRead);
        json.WriteNumber("output_tokens"u8, usage.Output);
        json.WriteEndObject();
    }

    private static long Number(JsonElement parent, string name) =>
        Get(parent, name, JsonValueKind.Number) is { } number && number.TryGetInt64(out var value) ? value : 0;
}
