using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>What a whole answer says about itself.</summary>
/// <param name="Model">By whom it is.</param>
/// <param name="Id">Where its id stands, between the quotes; length 0 where it has none.</param>
/// <param name="IsFinished">Every choice came to its own end, and usage is told: such an answer may be kept.</param>
/// <param name="Usage">As told.</param>
internal readonly record struct AnswerReading(string Model, (int Start, int Length) Id, bool IsFinished, TokenUsage? Usage)
{
    /// <summary>False: it is no answer of this kind.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, AnswerKind kind, out AnswerReading reading)
    {
        reading = default;
        var (model, id, finished, usage, isError) = ("", (Start: 0, Length: 0), false, (TokenUsage?)null, false);
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 128 });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("id"u8))
                {
                    if (reader.Read() && reader.TokenType == JsonTokenType.String)
                        id = ((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
                }
                else if (reader.ValueTextEquals("model"u8))
                {
                    model = reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
                }
                else if (reader.ValueTextEquals("error"u8))
                {
                    isError = reader.Read() && reader.TokenType != JsonTokenType.Null;
                }
                else if (reader.ValueTextEquals("usage"u8))
                {
                    reader.Read();
                    usage = ReadUsage(ref reader);
                    continue;
                }
                else if (kind != AnswerKind.Embeddings && reader.ValueTextEquals("choices"u8))
                {
                    reader.Read();
                    finished = ReadChoices(ref reader);
                    continue;
                }
                else if (kind == AnswerKind.Embeddings && reader.ValueTextEquals("data"u8))
                {
                    finished = reader.Read() && reader.TokenType == JsonTokenType.StartArray;
                }

                reader.Skip();
            }

            if (reader.Read() || isError)
                return false;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }

        reading = new(model, id, finished && usage is not null && model.Length > 0, usage);
        return true;
    }

    private static bool ReadChoices(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return false;
        }

        var (count, finished) = (0, 0);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            count++;
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("finish_reason"u8) && reader.Read() && reader.TokenType == JsonTokenType.String)
                    finished += reader.ValueTextEquals("stop"u8) || reader.ValueTextEquals("tool_calls"u8) ? 1 : 0;
                reader.Skip();
            }
        }

        return count > 0 && finished == count;
    }

    private static TokenUsage? ReadUsage(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return null;
        }

        using var document = JsonDocument.ParseValue(ref reader);
        return document.Deserialize(WireContext.Default.WireUsage)?.ToUsage();
    }

    /// <summary>A new id of the kind that OpenAI writes, 41 or 37 characters.</summary>
    public static int WriteId(AnswerKind kind, Span<byte> to)
    {
        var prefix = kind == AnswerKind.Chat ? "chatcmpl-"u8 : kind == AnswerKind.Text ? "cmpl-"u8 : "embd-"u8;
        prefix.CopyTo(to);
        Guid.NewGuid().TryFormat(to[prefix.Length..], out var written, "N");
        return prefix.Length + written;
    }

    public static string NewId(AnswerKind kind)
    {
        Span<byte> id = stackalloc byte[48];
        return Encoding.ASCII.GetString(id[..WriteId(kind, id)]);
    }
}
