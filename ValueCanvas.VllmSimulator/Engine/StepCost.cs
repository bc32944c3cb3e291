namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>The virtual cost of one engine step, linear in its prefill tokens and decoding sequences.</summary>
internal sealed class StepCost(SimulatorOptions options)
{
    private readonly double _base = options.StepBaseMilliseconds / 1000;
    private readonly double _prefill = 1 / options.PrefillTokensPerSecond;
    private readonly double _decode = options.DecodeMillisecondsPerSequence / 1000;

    public TimeSpan Of(int prefillTokens, int decodes) => TimeSpan.FromSeconds(_base + prefillTokens * _prefill + decodes * _decode);
}
