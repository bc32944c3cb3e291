namespace ValueCanvas.InferenceProxy.Hedging;

/// <summary>How long the streams of one model took to their first content lately: a histogram of a fixed size whose buckets grow by a
/// tenth. It forgets by halves, and so knows the last <see cref="Half"/> to twice that.</summary>
internal sealed class FirstContentTimes(TimeProvider time)
{
    private const int Buckets = 128;
    private const double Growth = 1.1;
    private static readonly TimeSpan Smallest = TimeSpan.FromMilliseconds(1); // and so the largest is three minutes
    private static readonly TimeSpan Half = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private long _since = time.GetTimestamp();
    private int[] _young = new int[Buckets];
    private int[] _old = new int[Buckets];
    private int _samples;

    public void Add(TimeSpan taken)
    {
        var bucket = taken <= Smallest ? 0 : (int)Math.Ceiling(Math.Log(taken / Smallest, Growth));
        lock (_gate)
        {
            Forget();
            _young[Math.Min(bucket, Buckets - 1)]++;
            _samples++;
        }
    }

    /// <summary>The time within which this share of the streams had content; null while too few are known.</summary>
    public TimeSpan? Percentile(double share, int minSamples)
    {
        lock (_gate)
        {
            Forget();
            if (_samples < minSamples)
                return null;

            var (bucket, rest) = (0, share * _samples);
            while (bucket < Buckets - 1 && (rest -= _young[bucket] + _old[bucket]) > 0)
                bucket++;

            return Smallest * Math.Pow(Growth, bucket);
        }
    }

    private void Forget()
    {
        var age = time.GetElapsedTime(_since);
        if (age < Half)
            return;

        (_young, _old) = (_old, _young);
        Array.Clear(_young);
        if (age >= 2 * Half)
            Array.Clear(_old);

        (_samples, _since) = (_old.Sum(), time.GetTimestamp());
    }
}
