namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>One provider: a fleet of servers that are alike, or a hosted service.</summary>
internal sealed class ProviderOptions
{
    /// <summary>vllm, ollama, openai, gemini, together, deepseek or anthropic. Unset: the provider's name where it is one of these, else
    /// vllm.</summary>
    public string? Kind { get; set; }

    /// <summary>Absolute URLs without the path of the API (<c>/v1</c>). A host that service discovery knows (<c>services:NAME:http:N</c>)
    /// stands for its addresses. Unset: the hosted kind's public address.</summary>
    public List<string> Endpoints { get; set; } = [];

    /// <summary>What is served, where the provider shall not be asked for it.</summary>
    public List<string> Models { get; set; } = [];

    /// <summary>Keys, which take turns. One that the provider refuses (401, 402, 403) rests.</summary>
    public List<string> ApiKeys { get; set; } = [];
}
