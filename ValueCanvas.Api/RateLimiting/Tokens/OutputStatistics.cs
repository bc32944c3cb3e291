namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>How long the latest answers of a model were, and how many tokens its prompts' bytes made.</summary>
internal sealed class OutputStatistics
{
    private const int Kept = 256;
    private const int Enough = 16;
    private const int Each = 8;
    private const double Percentile = 0.9;
    private const double Margin = 1.2;
    private const double NewShare = 0.1;
    private const double UsualRatio = 0.3;

    private readonly Lock _gate = new();
    private readonly int[] _outputs = new int[Kept];
    private int _seen;
    private int _estimate;
    private double _ratio = UsualRatio;

    /// <summary>The 90th percentile of the latest answers and a fifth more; null until some were seen.</summary>
    public int? Output => Volatile.Read(ref _estimate) is > 0 and var estimate ? estimate : null;

    public double TokensPerByte => Volatile.Read(ref _ratio);

    public void Note(int output, int prompt, long promptBytes)
    {
        lock (_gate)
        {
            if (promptBytes > 0 && prompt > 0)
                _ratio += NewShare * (Math.Min(1, (double)prompt / promptBytes) - _ratio);
            _outputs[_seen++ % Kept] = output;
            if (_seen < Enough || _seen % Each != 0)
                return;
            var sorted = _outputs.AsSpan(0, Math.Min(_seen, Kept)).ToArray();
            Array.Sort(sorted);
            _estimate = Math.Max(1, (int)Math.Ceiling(sorted[(int)Math.Ceiling(Percentile * sorted.Length) - 1] * Margin));
        }
    }
}
