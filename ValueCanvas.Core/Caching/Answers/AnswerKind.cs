namespace ValueCanvas.Core.Caching.Answers;

/// <summary>The calls whose answers are kept. Anthropic's Messages are not among them: see docs/response-cache.md.</summary>
internal enum AnswerKind
{
    Chat,
    Text,
    Embeddings,
}

internal static class AnswerKinds
{
    public static AnswerKind? Of(HttpRequestMessage request)
    {
        if (request.Method != HttpMethod.Post || request.Content is null || request.Content.Headers.ContentEncoding.Count > 0)
            return null;
        var path = request.RequestUri is not { } uri ? default : uri.IsAbsoluteUri ? uri.AbsolutePath.AsSpan() : PathOf(uri.OriginalString);
        return path.Trim('/') switch
        {
            "v1/chat/completions" => AnswerKind.Chat,
            "v1/completions" => AnswerKind.Text,
            "v1/embeddings" => AnswerKind.Embeddings,
            _ => null,
        };
    }

    public static string Query(HttpRequestMessage request)
    {
        var text = request.RequestUri!.IsAbsoluteUri ? request.RequestUri.Query : request.RequestUri.OriginalString;
        var at = text.IndexOf('?', StringComparison.Ordinal);
        return at < 0 ? "" : text[at..];
    }

    private static ReadOnlySpan<char> PathOf(string relative)
    {
        var at = relative.AsSpan().IndexOfAny('?', '#');
        return at < 0 ? relative : relative.AsSpan(0, at);
    }
}
