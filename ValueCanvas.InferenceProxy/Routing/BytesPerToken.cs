using System.Collections.Concurrent;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// How many bytes of a prompt are a token of a model: a moving mean of what servers say that prompts cost. Caches are measured in tokens,
/// prompts here in bytes.
/// </summary>
internal sealed class BytesPerToken
{
    /// <summary>Text in the languages and tokenizers of the day: what holds until servers have said better.</summary>
    public const double Assumed = 4;

    // In a shorter prompt the chat template's own tokens are most.
    private const int FewestTokens = 32;

    // So many tokens are remembered; one prompt is at most a part of them.
    private const double Remembered = 65_536;
    private const double MostOfOne = 4_096;

    // A server that lists ever new models shall not fill the memory.
    private const int MostModels = 1024;

    private readonly ConcurrentDictionary<string, Estimate> _byModel = new(StringComparer.Ordinal);

    public double Of(string model) => _byModel.TryGetValue(model, out var estimate) ? estimate.Value : Assumed;

    /// <summary>A prompt of so many bytes cost so many tokens.</summary>
    public void Learned(string model, long promptBytes, int promptTokens)
    {
        if (promptTokens < FewestTokens || promptBytes <= 0 || (_byModel.Count >= MostModels && !_byModel.ContainsKey(model)))
            return;

        _byModel.GetOrAdd(model, static _ => new Estimate()).Add(promptBytes / (double)promptTokens, Math.Min(promptTokens, MostOfOne));
    }

    private sealed class Estimate
    {
        // An image is many bytes and few tokens, and says nothing about text.
        private const double Least = 1;
        private const double Most = 16;

        private readonly Lock _gate = new();
        private double _tokens = MostOfOne;
        private double _value = Assumed;

        public double Value => Volatile.Read(ref _value);

        public void Add(double ratio, double tokens)
        {
            lock (_gate)
            {
                _tokens = Math.Min(_tokens + tokens, Remembered);
                Volatile.Write(ref _value, _value + (Math.Clamp(ratio, Least, Most) - _value) * tokens / _tokens);
            }
        }
    }
}
