using System.Buffers;
using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Caching.Answers;

namespace ValueCanvas.Core.Caching.Records;

/// <summary>Entries and counts as <c>record_llm_cache</c> reads them.</summary>
internal static class RecordJson
{
    public static string Of(List<EntryCount> entries) => Json(writer =>
    {
        foreach (var entry in entries)
        {
            var answer = entry.Answer;
            writer.WriteStartObject();
            writer.WriteString("id", answer.Id);
            writer.WriteString("tenant_id", answer.TenantId);
            writer.WriteString("key", "\\x" + answer.Key);
            writer.WriteString("kind", answer.Kind switch
            {
                AnswerKind.Chat => "chat",
                AnswerKind.Text => "text",
                _ => "embeddings",
            });
            writer.WriteString("model", Plain(answer.AskedModel));
            writer.WriteString("answered_by", Plain(answer.Model));
            writer.WriteString("provider", answer.Provider is null ? null : Plain(answer.Provider));
            writer.WriteString("prompt_key", answer.PromptKey);
            writer.WriteString("prompt_version", answer.PromptVersion);
            writer.WriteStartArray("tags");
            foreach (var tag in answer.Tags)
                writer.WriteStringValue(Plain(tag));
            writer.WriteEndArray();
            Number(writer, "input_tokens", answer.Usage?.InputTokens);
            Number(writer, "output_tokens", answer.Usage?.OutputTokens);
            writer.WriteNumber("size_bytes", answer.Json.Length);
            if (answer.PaidBy?.Cost is { } cost)
                writer.WriteNumber("cost", cost);
            else
                writer.WriteNull("cost");
            writer.WriteNumber("hits", entry.Hits);
            writer.WriteString("created_at", answer.CreatedAt);
            writer.WriteString("expires_at", answer.ExpiresAt);
            if (entry.LastHit > 0)
                writer.WriteString("last_hit_at", new DateTimeOffset(entry.LastHit, TimeSpan.Zero));
            else
                writer.WriteNull("last_hit_at");
            writer.WriteEndObject();
        }
    });

    public static string Of(List<KeyValuePair<CountName, CallCount>> counts) => Json(writer =>
    {
        foreach (var (name, count) in counts)
        {
            var (hits, misses, coalesced, stale, input, output) = count.Read();
            writer.WriteStartObject();
            writer.WriteString("tenant_id", name.TenantId);
            writer.WriteString("hour", name.Hour);
            writer.WriteString("model", Plain(name.Model));
            writer.WriteString("prompt_key", name.Prompt);
            writer.WriteNumber("hits", hits);
            writer.WriteNumber("misses", misses);
            writer.WriteNumber("coalesced", coalesced);
            writer.WriteNumber("stale", stale);
            writer.WriteNumber("saved_input_tokens", input);
            writer.WriteNumber("saved_output_tokens", output);
            writer.WriteEndObject();
        }
    });

    private static string Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartArray();
            write(writer);
            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Number(Utf8JsonWriter writer, string name, int? value)
    {
        if (value is { } number)
            writer.WriteNumber(name, number);
        else
            writer.WriteNull(name);
    }

    // A name that a client chose may hold what text cannot.
    private static string Plain(string name) => name.Replace("\0", "", StringComparison.Ordinal);
}
