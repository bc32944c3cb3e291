using System.Collections.Frozen;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>What the wire format of a provider asks for; everything else about a provider is configuration.</summary>
internal sealed class ProviderKind
{
    public static readonly ProviderKind Vllm = new("vllm") { StreamsUsage = true };

    private static readonly ProviderKind[] All =
    [
        Vllm,
        new("ollama") { StreamsUsage = true },
        new("openai")
        {
            PublicEndpoint = "https://api.openai.com", KeyVariable = "OPENAI_API_KEY", StreamsUsage = true, LimitsByCompletionTokens = true,
        },
        new("gemini")
        {
            PublicEndpoint = "https://generativelanguage.googleapis.com", Prefix = "/v1beta/openai", KeyVariable = "GEMINI_API_KEY",
            StreamsUsage = true,
        },
        new("together") { PublicEndpoint = "https://api.together.ai", KeyVariable = "TOGETHER_API_KEY" },
        new("deepseek") { PublicEndpoint = "https://api.deepseek.com", KeyVariable = "DEEPSEEK_API_KEY" },
        new("anthropic")
        {
            PublicEndpoint = "https://api.anthropic.com", KeyVariable = "ANTHROPIC_API_KEY", IsAnthropic = true, StreamsUsage = true,
        },
    ];

    private static readonly FrozenDictionary<string, ProviderKind> ByName =
        All.ToFrozenDictionary(k => k.Name, StringComparer.OrdinalIgnoreCase);

    private ProviderKind(string name) => Name = name;

    public static IEnumerable<ProviderKind> Known => All;

    public string Name { get; }

    /// <summary>Where a hosted provider is; null for servers that one runs oneself. Only those are looked at every second.</summary>
    public string? PublicEndpoint { get; private init; }

    public bool IsHosted => PublicEndpoint is not null;

    /// <summary>What stands before <c>/chat/completions</c> in the provider's paths.</summary>
    public string Prefix { get; private init; } = "/v1";

    /// <summary>The variable in which the key of such a provider is usually kept; used where no key is configured.</summary>
    public string? KeyVariable { get; private init; }

    /// <summary>Tells a stream's usage if asked by <c>stream_options</c>. The others tell it anyway.</summary>
    public bool StreamsUsage { get; private init; }

    /// <summary>Its newer models refuse <c>max_tokens</c>: they want <c>max_completion_tokens</c>, which the others may not know.</summary>
    public bool LimitsByCompletionTokens { get; private init; }

    /// <summary>Speaks Anthropic's Messages API, both ways translated.</summary>
    public bool IsAnthropic { get; private init; }

    public static ProviderKind? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The kind that a provider's settings mean: the one they name, else its own name where that is a kind, else vLLM.</summary>
    public static ProviderKind? Of(string provider, ProviderOptions options) =>
        string.IsNullOrEmpty(options.Kind) ? Find(provider) ?? Vllm : Find(options.Kind);

    public bool Supports(InferenceOperation operation) =>
        operation == InferenceOperation.Chat || (operation == InferenceOperation.CountTokens ? IsAnthropic || this == Vllm : !IsAnthropic);

    public string PathOf(InferenceOperation operation) => this switch
    {
        { IsAnthropic: true } => operation == InferenceOperation.CountTokens ? "/v1/messages/count_tokens" : "/v1/messages",
        { Prefix: "/v1" } => operation.Path,
        _ => Prefix + operation.Path["/v1".Length..],
    };

    /// <summary>Puts the credential where the provider expects it.</summary>
    public void Authorize(HttpRequestMessage request, Credential? credential)
    {
        if (IsAnthropic)
        {
            request.Headers.Remove("anthropic-version"); // the translation speaks this one
            request.Headers.TryAddWithoutValidation("anthropic-version", "2023-06-01");
        }

        if (credential is not null)
        {
            var (name, value) = IsAnthropic ? ("x-api-key", credential.Secret) : ("Authorization", $"Bearer {credential.Secret}");
            request.Headers.TryAddWithoutValidation(name, value);
        }
    }
}
