using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Where in the body the fields stand that make up the prompt, as ranges of the values' bytes; empty where a field is
/// missing.</summary>
internal record struct PromptFields(Range Salt, Range Tools, Range Prompt)
{
    public readonly int PromptBytes => Prompt.End.Value - Prompt.Start.Value + Tools.End.Value - Tools.Start.Value;

    /// <summary>Reads over the property that the reader stands on, and notes its value's place if it belongs to the prompt.</summary>
    public void Skip(ref JsonWalker reader)
    {
        var (salt, tools) = (reader.ValueTextEquals("cache_salt"u8), reader.ValueTextEquals("tools"u8));
        var prompt = reader.ValueTextEquals("messages"u8) || reader.ValueTextEquals("prompt"u8);
        reader.Read();
        var start = reader.TokenStartIndex;
        reader.Skip();
        if (salt || tools || prompt)
        {
            var value = start..reader.BytesConsumed;
            (Salt, Tools, Prompt) = (salt ? value : Salt, tools ? value : Tools, prompt ? value : Prompt);
        }
    }
}
