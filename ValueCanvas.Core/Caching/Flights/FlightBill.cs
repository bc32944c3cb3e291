using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Who of those that read a flight pays for its call; the others have it for nothing. Used under the flight's lock.</summary>
internal struct FlightBill()
{
    private Seat? _payer;
    private InferenceCall? _owing;
    private bool _isPaid;

    /// <summary>Of the call of the model; its payer has it as its own.</summary>
    public InferenceOutcome Outcome { get; } = new() { Cache = CacheStatus.Miss };

    public readonly bool IsUnpaid => _payer is null && !_isPaid;

    /// <summary>Who paid last, where it has left and nobody has paid since.</summary>
    public readonly InferenceCall? Owing => IsUnpaid ? _owing : null;

    /// <summary>The first pays.</summary>
    public void Join(Seat seat)
    {
        if (IsUnpaid)
            Charge(seat);
        else
            seat.Call!.Outcome = new() { Cache = CacheStatus.Coalesced, Cost = 0 };
    }

    public void PaidElsewhere()
    {
        _isPaid = true;
        if (_payer?.Call is { } call)
            call.Outcome = new() { Cache = CacheStatus.Coalesced, Cost = 0 };
        _payer = null;
    }

    /// <summary>After all it is paid here; false where nobody is left who could.</summary>
    public bool PayHere(List<Seat> seats)
    {
        _isPaid = false;
        return ChargeNext(seats);
    }

    /// <summary>One has read to the end.</summary>
    public void Finish(Seat seat)
    {
        if (ReferenceEquals(_payer, seat))
        {
            _isPaid = true;
        }
        else if (seat.Call is { Outcome: { Cache: CacheStatus.Coalesced } outcome })
        {
            (outcome.Usage, outcome.UsageSource) = (Outcome.Usage, Outcome.UsageSource);
            (outcome.Model, outcome.Provider, outcome.IsComplete) = (Outcome.Model, Outcome.Provider, Outcome.IsComplete);
        }
    }

    /// <summary>
    /// Before the end. Was it the payer, the next one pays; another instance's reader, when it comes to its end; and where there is none,
    /// the leaver.
    /// </summary>
    public void Leave(Seat leaver, List<Seat> others)
    {
        if (!ReferenceEquals(_payer, leaver))
            return;
        if (!ChargeNext(others))
        {
            if (!others.Exists(seat => seat.Call is null))
                return;
            (_payer, _owing) = (null, leaver.Call);
        }

        leaver.Call!.Outcome = new()
        {
            Cache = CacheStatus.Coalesced,
            Cost = 0,
            Usage = Outcome.Usage,
            UsageSource = Outcome.UsageSource,
            Model = Outcome.Model,
            Provider = Outcome.Provider,
        };
    }

    private bool ChargeNext(List<Seat> seats)
    {
        if (seats.Find(seat => seat.Call is not null) is not { } next)
            return false;
        Charge(next);
        return true;
    }

    private void Charge(Seat seat)
    {
        _payer = seat;
        seat.Call!.Outcome = Outcome;
    }
}
