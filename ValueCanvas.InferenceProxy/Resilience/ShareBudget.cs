namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Pays for extra work from the requests that came: over the last ten slots of time at most a share of them, and whatever the
/// share a few in every slot.</summary>
internal abstract class ShareBudget(TimeProvider time, TimeSpan slot)
{
    private const int Slots = 10;

    private readonly Lock _gate = new();
    private readonly (int Requests, int Spent)[] _slots = new (int, int)[Slots];
    private readonly long _born = time.GetTimestamp();
    private long _newest;
    private long _requests;
    private long _spent;

    public void Request()
    {
        lock (_gate)
        {
            Slide();
            _slots[_newest % Slots].Requests++;
            _requests++;
        }
    }

    protected bool TrySpend(double share, int minPerSlot)
    {
        lock (_gate)
        {
            Slide();
            ref var current = ref _slots[_newest % Slots];
            if (current.Spent >= minPerSlot && _spent + 1 > _requests * share)
                return false;

            current.Spent++;
            _spent++;
            return true;
        }
    }

    private void Slide()
    {
        var now = time.GetElapsedTime(_born).Ticks / slot.Ticks;
        if (now - _newest >= Slots)
        {
            Array.Clear(_slots);
            (_requests, _spent, _newest) = (0, 0, now);
        }

        while (_newest < now)
        {
            ref var oldest = ref _slots[++_newest % Slots];
            (_requests, _spent) = (_requests - oldest.Requests, _spent - oldest.Spent);
            oldest = default;
        }
    }
}
