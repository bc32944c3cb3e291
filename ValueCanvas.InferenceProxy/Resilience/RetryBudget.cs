namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>
/// Further attempts are paid from a budget, so that an outage is not multiplied: over ten seconds at most a share of the requests, and
/// whatever the share a few in every second.
/// </summary>
internal sealed class RetryBudget(TimeProvider time)
{
    private const int Seconds = 10;

    private readonly Lock _gate = new();
    private readonly (int Requests, int Retries)[] _slots = new (int, int)[Seconds];
    private readonly long _born = time.GetTimestamp();
    private long _second;
    private long _requests;
    private long _retries;

    public void Request()
    {
        lock (_gate)
        {
            Slide();
            _slots[_second % Seconds].Requests++;
            _requests++;
        }
    }

    public bool TrySpend(RetryOptions options)
    {
        lock (_gate)
        {
            Slide();
            ref var slot = ref _slots[_second % Seconds];
            if (slot.Retries >= options.MinPerSecond && _retries + 1 > _requests * options.Ratio)
            {
                return false;
            }

            slot.Retries++;
            _retries++;
            return true;
        }
    }

    private void Slide()
    {
        var now = (long)time.GetElapsedTime(_born).TotalSeconds;
        if (now - _second >= Seconds)
        {
            Array.Clear(_slots);
            (_requests, _retries, _second) = (0, 0, now);
        }

        while (_second < now)
        {
            ref var slot = ref _slots[++_second % Seconds];
            (_requests, _retries) = (_requests - slot.Requests, _retries - slot.Retries);
            slot = default;
        }
    }
}
