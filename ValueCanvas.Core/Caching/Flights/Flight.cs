using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// One call of a model for all who ask the same at the same time. It belongs to none of them and
/// lives as long as one reads; one of them pays.
/// </summary>
internal sealed class Flight : IDisposable
{
    // What the slowest reader may be behind once nothing is kept for those who come later.
    private const long Window = 1024 * 1024;

    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly List<Seat> _seats = [];
    private readonly HashSet<string> _tags = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private readonly FlightBudget _budget;
    private FlightPart? _first;
    private FlightPart _last;
    private TaskCompletionSource? _room;
    private FlightBill _bill = new();
    private bool _isOver;
    private bool _isSafe;
    private bool _isEnded;
    private long _held;
    private long _written;

    public Flight(CacheKey key, Guid tenantId, FlightMode mode, FlightBudget budget)
    {
        (Key, TenantId, Mode, _budget) = (key, tenantId, mode, budget);
        (_first, Stop) = (new FlightPart(), _stop.Token);
        _last = _first;
    }

    public CacheKey Key { get; }

    public Guid TenantId { get; }

    public Guid Id { get; } = Guid.NewGuid();

    /// <summary>How the model is asked: as whoever asked first.</summary>
    public FlightMode Mode { get; }

    /// <summary>Nobody reads any more.</summary>
    public CancellationToken Stop { get; }

    /// <summary>Of the call of the model; its payer has it as its own.</summary>
    public InferenceOutcome Outcome => _bill.Outcome;

    /// <summary>An expired answer that may stand in.</summary>
    public CachedAnswer? Stale { get; set; }

    /// <summary>The whole answer, for those who want it in another form; there when the end is, and null where it makes none.</summary>
    public CachedAnswer? Answer { get; set; }

    /// <summary>Redis has it that this one asks.</summary>
    public bool IsHeld { get; set; }

    public bool IsUnpaid
    {
        get
        {
            lock (_gate)
                return _bill.IsUnpaid;
        }
    }

    /// <summary>Who paid last, where it has left and nobody of this instance has paid since: it owes what no other instance pays.</summary>
    public InferenceCall? Owing
    {
        get
        {
            lock (_gate)
                return _bill.Owing;
        }
    }

    /// <summary>Another instance reads along.</summary>
    public bool IsReadElsewhere
    {
        get
        {
            lock (_gate)
                return _seats.Exists(seat => seat.Call is null);
        }
    }

    /// <summary>By what those who joined want their answers to be dropped.</summary>
    public IReadOnlyList<string> Tags
    {
        get
        {
            lock (_gate)
                return [.. _tags];
        }
    }

    /// <summary>A place to read from the beginning on; null where it is too late.</summary>
    /// <param name="call">Null for another instance.</param>
    public Seat? Join(InferenceCall? call)
    {
        lock (_gate)
        {
            if (_isOver || _first is null)
                return null;
            var seat = new Seat(this, call, _first);
            _seats.Add(seat);
            if (call is null)
                return seat;
            foreach (var tag in call.Cache.Tags)
                _tags.Add(tag);
            _bill.Join(seat);
            return seat;
        }
    }

    /// <summary>The next step, from whoever makes the call alone.</summary>
    public void Add(FlightPart part)
    {
        lock (_gate)
        {
            _written += part.Bytes.Length;
            if (_first is not null)
            {
                _held += part.Bytes.Length;
                // Too large to be kept for those who come later: from now on it flows by.
                if (!_budget.Take(part.Bytes.Length, _held))
                {
                    _budget.Return(_held - part.Bytes.Length);
                    (_first, _held) = (null, 0);
                }
            }

            _isEnded |= part.IsEnd;
            var before = _last;
            _last = part;
            before.Append(part);
        }
    }

    /// <summary>Waits while what nobody keeps is far ahead of its slowest reader.</summary>
    public async ValueTask RoomAsync()
    {
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if (_first is not null || _seats.Count == 0 || _written - _seats.Min(seat => seat.Position) <= Window)
                    return;
                room = (_room ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            await room.WaitAsync(Stop);
        }
    }

    /// <summary>The model has said all: whoever leaves now leaves a whole answer, which is still taken down.</summary>
    public void MarkSafe()
    {
        lock (_gate)
            _isSafe = true;
    }

    /// <summary>Somebody else's call after all: nobody here pays for it.</summary>
    public void PaidElsewhere()
    {
        lock (_gate)
            _bill.PaidElsewhere();
    }

    /// <summary>After all it is paid here; false where nobody is left who could.</summary>
    public bool PayHere()
    {
        lock (_gate)
            return _bill.PayHere(_seats);
    }

    /// <summary>No more is to come, nobody can join.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isOver = true;
            _budget.Return(_held);
            _held = 0;
        }

        _stop.Dispose();
    }

    internal void Leave(Seat seat, bool hasRead)
    {
        if (!TryLeave(seat, hasRead, out var isCancelled) || !isCancelled)
            return;
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended in this moment.
        }
    }

    private bool TryLeave(Seat seat, bool hasRead, out bool isCancelled)
    {
        isCancelled = false;
        lock (_gate)
        {
            if (!_seats.Remove(seat))
                return false;
            _room?.TrySetResult();
            _room = null;
            if (hasRead)
                _bill.Finish(seat);
            else
                _bill.Leave(seat, _seats);
            if (_seats.Count > 0 || _isOver || _isEnded)
                return true;
            // Nobody reads. What the model has told in full is taken down to its end, anything else is cancelled.
            if (_isSafe)
                _stop.CancelAfter(Drain);
            else
                isCancelled = _isOver = true;
            return true;
        }
    }

    internal void Moved()
    {
        if (_room is null)
            return;
        lock (_gate)
        {
            _room?.TrySetResult();
            _room = null;
        }
    }
}
