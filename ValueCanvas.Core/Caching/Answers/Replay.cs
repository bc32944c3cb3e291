using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>A kept answer once more: under a new id, whole or as the stream that would have brought it.</summary>
internal static class Replay
{
    private const int PieceLength = 256;

    private static readonly JsonWriterOptions Writing =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public static byte[] Whole(ReadOnlySpan<byte> json, AnswerKind kind, (int Start, int Length) idPlace)
    {
        if (idPlace.Length == 0)
            return json.ToArray();
        Span<byte> id = stackalloc byte[48];
        id = id[..AnswerReading.WriteId(kind, id)];
        var answer = GC.AllocateUninitializedArray<byte>(json.Length - idPlace.Length + id.Length);
        json[..idPlace.Start].CopyTo(answer);
        id.CopyTo(answer.AsSpan(idPlace.Start));
        json[(idPlace.Start + idPlace.Length)..].CopyTo(answer.AsSpan(idPlace.Start + id.Length));
        return answer;
    }

    /// <param name="json">Of a chat or text completion.</param>
    /// <param name="kind">Which of them.</param>
    /// <param name="withUsage">The client asked for <c>stream_options.include_usage</c>.</param>
    public static byte[] Stream(ReadOnlyMemory<byte> json, AnswerKind kind, bool withUsage)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 128 });
        using var events = new Events(document.RootElement, kind);
        foreach (var choice in document.RootElement.GetProperty("choices").EnumerateArray())
        {
            if (kind == AnswerKind.Chat)
                events.Chat(choice);
            else
                events.Text(choice);
        }

        if (withUsage && document.RootElement.TryGetProperty("usage", out var usage))
            events.Usage(usage);
        return events.End();
    }

    private sealed class Events(JsonElement answer, AnswerKind kind) : IDisposable
    {
        private readonly ArrayBufferWriter<byte> _buffer = new(4096);
        private readonly Utf8JsonWriter _writer = new(System.IO.Stream.Null, Writing);
        private readonly string _id = AnswerReading.NewId(kind);
        private readonly string? _object = kind == AnswerKind.Chat ? "chat.completion.chunk" : null;
        private bool _isFirst = true;

        public void Chat(JsonElement choice)
        {
            var message = choice.GetProperty("message");
            var logprobs = choice.TryGetProperty("logprobs", out var told) && told.ValueKind != JsonValueKind.Null ? told : (JsonElement?)null;
            Event(choice, "delta", default, default, () => Opening(message));
            foreach (var member in message.EnumerateObject())
            {
                if (member.Name == "role" || member.Value.ValueKind == JsonValueKind.Null)
                    continue;
                if (member.Name == "tool_calls" && member.Value.ValueKind == JsonValueKind.Array)
                    Calls(choice, member.Value);
                else if (member.Value.ValueKind == JsonValueKind.String)
                {
                    foreach (var piece in Pieces(member.Value.GetString()!))
                    {
                        // With the text that they are about, all at once.
                        Event(choice, "delta", default, member.Name == "content" ? logprobs : null, () => _writer.WriteString(member.Name, piece));
                        logprobs = member.Name == "content" ? null : logprobs;
                    }
                }
                else
                    Event(choice, "delta", default, default, () => member.WriteTo(_writer));
            }

            Event(choice, "delta", choice, logprobs, () => { });
        }

        public void Text(JsonElement choice)
        {
            var logprobs = choice.TryGetProperty("logprobs", out var told) && told.ValueKind != JsonValueKind.Null ? told : (JsonElement?)null;
            foreach (var piece in Pieces(choice.TryGetProperty("text", out var text) ? text.GetString() ?? "" : ""))
            {
                Event(choice, null, default, logprobs, () => _writer.WriteString("text", piece));
                logprobs = null;
            }

            Event(choice, null, choice, logprobs, () => _writer.WriteString("text", ""));
        }

        public void Usage(JsonElement usage) => Event(() =>
        {
            _writer.WriteStartArray("choices");
            _writer.WriteEndArray();
            _writer.WritePropertyName("usage");
            usage.WriteTo(_writer);
        });

        public byte[] End()
        {
            _buffer.Write("data: [DONE]\n\n"u8);
            return _buffer.WrittenSpan.ToArray();
        }

        public void Dispose() => _writer.Dispose();

        private void Opening(JsonElement message)
        {
            foreach (var member in message.EnumerateObject())
            {
                if (member.Name == "role" || member.Value.ValueKind == JsonValueKind.Null)
                    member.WriteTo(_writer);
                else if (member.Value.ValueKind == JsonValueKind.String && member.Value.GetString()!.Length == 0)
                    member.WriteTo(_writer);
            }
        }

        private void Calls(JsonElement choice, JsonElement calls)
        {
            var index = 0;
            foreach (var call in calls.EnumerateArray())
            {
                var (at, arguments) = (index++, "");
                Call(at, () =>
                {
                    foreach (var member in call.EnumerateObject())
                    {
                        if (member.Name == "index")
                            continue;
                        if (member.Name != "function" || member.Value.ValueKind != JsonValueKind.Object)
                        {
                            member.WriteTo(_writer);
                            continue;
                        }

                        _writer.WriteStartObject("function");
                        foreach (var part in member.Value.EnumerateObject())
                        {
                            if (part.Name == "arguments" && part.Value.ValueKind == JsonValueKind.String)
                            {
                                arguments = part.Value.GetString()!;
                                _writer.WriteString("arguments", "");
                            }
                            else
                                part.WriteTo(_writer);
                        }

                        _writer.WriteEndObject();
                    }
                });
                foreach (var piece in Pieces(arguments))
                {
                    Call(at, () =>
                    {
                        _writer.WriteStartObject("function");
                        _writer.WriteString("arguments", piece);
                        _writer.WriteEndObject();
                    });
                }
            }

            void Call(int at, Action content) => Event(choice, "delta", default, default, () =>
            {
                _writer.WriteStartArray("tool_calls");
                _writer.WriteStartObject();
                _writer.WriteNumber("index", at);
                content();
                _writer.WriteEndObject();
                _writer.WriteEndArray();
            });
        }

        // The last event of a choice has what else is said of it.
        private void Event(JsonElement choice, string? content, JsonElement last, JsonElement? logprobs, Action write) => Event(() =>
        {
            _writer.WriteStartArray("choices");
            _writer.WriteStartObject();
            if (choice.TryGetProperty("index", out var index))
            {
                _writer.WritePropertyName("index");
                index.WriteTo(_writer);
            }

            if (content is not null)
                _writer.WriteStartObject(content);
            write();
            if (content is not null)
                _writer.WriteEndObject();
            if (logprobs is { } told)
            {
                _writer.WritePropertyName("logprobs");
                told.WriteTo(_writer);
            }

            if (last.ValueKind == JsonValueKind.Object)
            {
                foreach (var member in last.EnumerateObject())
                {
                    if (member.Name is not ("index" or "message" or "text" or "logprobs"))
                        member.WriteTo(_writer);
                }
            }
            else
                _writer.WriteNull("finish_reason");

            _writer.WriteEndObject();
            _writer.WriteEndArray();
        });

        private void Event(Action write)
        {
            _buffer.Write("data: "u8);
            _writer.Reset(_buffer);
            _writer.WriteStartObject();
            _writer.WriteString("id", _id);
            foreach (var member in answer.EnumerateObject())
            {
                if (member.Name == "object")
                    _writer.WriteString("object", _object ?? member.Value.GetString());
                else if (member.Name is not ("id" or "choices" or "usage") && (_isFirst || IsSmall(member.Value)))
                    member.WriteTo(_writer);
            }

            _isFirst = false;
            write();
            _writer.WriteEndObject();
            _writer.Flush();
            _buffer.Write("\n\n"u8);
        }

        // What is about the whole answer (token ids of the prompt) is said once.
        private static bool IsSmall(JsonElement value) => value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array);

        private static IEnumerable<string> Pieces(string text)
        {
            for (var at = 0; at < text.Length;)
            {
                var length = Math.Min(PieceLength, text.Length - at);
                if (at + length < text.Length && char.IsHighSurrogate(text[at + length - 1]))
                    length++;
                yield return text.Substring(at, length);
                at += length;
            }
        }
    }
}
