using System.Text.Json;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>A kept answer once more: under a new id, whole or as the stream that would have brought it.</summary>
internal static class Replay
{
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
        using ReplayedEvents events = kind == AnswerKind.Chat ? new ChatEvents(document.RootElement) : new TextEvents(document.RootElement);
        foreach (var choice in document.RootElement.GetProperty("choices").EnumerateArray())
            events.Choice(choice);
        if (withUsage && document.RootElement.TryGetProperty("usage", out var usage))
            events.Usage(usage);
        return events.End();
    }
}
