using ValueCanvas.InferenceProxy.Providers.Anthropic;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>A request to a replica.</summary>
internal sealed class ReplicaRequest(HttpMethod method, Uri uri) : HttpRequestMessage(method, uri)
{
    /// <summary>Turns the answer into what an OpenAI-compatible server would have said; null where the server is one.</summary>
    public AnthropicExchange? Exchange { get; set; }
}
