using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Messages;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Whether a kind of provider can be told the request at all; and the request in Anthropic's language, where its client speaks
/// OpenAI's.</summary>
internal sealed class Translation(RequestBody body, MessagesCall? messages)
{
    private string? _model;
    private byte[] _translated = [];
    private ProxyError? _untranslatable;

    /// <summary>What the client sent, where it speaks Anthropic's language.</summary>
    public MessagesCall? Messages => messages;

    /// <summary>Why the provider could not understand the request; null where it can.</summary>
    public ProxyError? Unfit(ProviderKind kind, ModelTarget target)
    {
        if (!kind.IsAnthropic)
            return messages?.Unfit;

        if (messages is null)
            Translate(target.Model);

        return _untranslatable;
    }

    /// <summary>A chat as Anthropic gets it, which it must be able to understand.</summary>
    public byte[] ForAnthropic(ModelTarget target)
    {
        Translate(target.Model);
        return _translated;
    }

    private void Translate(string model)
    {
        if (_model != model)
        {
            _untranslatable = AnthropicRequest.TryTranslate(body.Bytes, model, out _translated);
            _model = model;
        }
    }
}
