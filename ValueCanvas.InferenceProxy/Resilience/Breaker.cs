using ValueCanvas.InferenceProxy.Operations;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>
/// The circuit breaker of one model at one replica:
/// <code>
/// closed ── too many failures, failures in a row, slow calls ──► open ── time over ──► half-open ── enough successes ──► closed
///                                                                 ▲                        │
///                                                                 └── a failure, longer ◄──┘
/// </code>
/// Apart from that, a server's <c>Retry-After</c> cools it: for that time nothing is sent, and nothing is held against it.
/// What was let through in one state says nothing about a later one and is ignored there.
/// </summary>
internal sealed class Breaker(string replica, string model, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly SlidingCounts _counts = new();
    private readonly BreakerLog _log = new();
    private readonly long _born = time.GetTimestamp();
    private readonly DateTimeOffset _bornAt = time.GetUtcNow();
    private volatile BreakerState _state;
    private long _until; // ticks since birth: an open breaker's end
    private Cooling _cooling;
    private int _epoch;
    private int _openings; // in a row, without closing
    private int _probes;
    private int _successes;
    private int _consecutive;
    private string? _lastFailure;
    private long _followed; // the sequence of the operator's last word

    public string Replica { get; } = replica;

    public string Model { get; } = model;

    public BreakerState State => _state;

    /// <summary>Null when a request may be sent now, else how long not, as far as is known.</summary>
    public BreakerWait? Blocked(BreakerOptions options)
    {
        if (_state == BreakerState.Closed && _cooling.IsOff)
            return null;

        lock (_gate)
            return BlockedNow(options);
    }

    /// <summary>Lets a request through or not. One that was let through must be given back to <see cref="Record"/>, once.</summary>
    public bool TryEnter(BreakerOptions options, out BreakerPass pass, out BreakerTransition? transition)
    {
        (pass, transition) = (new BreakerPass(this, _epoch, Probe: false), null);
        if (_state == BreakerState.Closed && _cooling.IsOff)
            return true;

        lock (_gate)
        {
            if (BlockedNow(options) is not null)
                return false;

            _cooling.End();
            if (_state == BreakerState.Closed)
            {
                pass = new BreakerPass(this, _epoch, Probe: false);
                return true;
            }

            if (_state != BreakerState.HalfOpen)
                transition = Move(BreakerState.HalfOpen, "time over");

            _probes++;
            pass = new BreakerPass(this, _epoch, Probe: true);
            return true;
        }
    }

    /// <summary>Lets a request through that must not be a probe, nor wait; else as <see cref="TryEnter"/>.</summary>
    public bool TryEnterClosed(out BreakerPass pass)
    {
        pass = new BreakerPass(this, _epoch, Probe: false);
        return _state == BreakerState.Closed && _cooling.IsOff;
    }

    /// <summary>A probe's answer begins: the next probe may enter, so that a few long streams do not keep the breaker half-open for all
    /// others. What the answer is worth is known at its end.</summary>
    public BreakerPass Began(BreakerPass pass)
    {
        if (pass is not { Probe: true, Begun: false })
            return pass;

        lock (_gate)
        {
            _probes -= pass.Epoch == _epoch ? 1 : 0;
            return pass with { Begun = true };
        }
    }

    /// <summary>What became of a request that was let through.</summary>
    public BreakerTransition? Record(BreakerPass pass, BreakerVerdict verdict, bool slow, string? failure, BreakerOptions options)
    {
        lock (_gate)
        {
            if (failure is not null && verdict == BreakerVerdict.Failure)
                _lastFailure = failure;

            if (pass.Epoch != _epoch)
                return null;

            _probes -= pass is { Probe: true, Begun: false } ? 1 : 0;
            if (verdict == BreakerVerdict.Neutral)
                return null;

            var failed = verdict == BreakerVerdict.Failure;
            _counts.Add(failed, slow, Now(), options.Window);
            _consecutive = failed ? _consecutive + 1 : 0;
            if (pass.Probe)
            {
                return failed ? OpenLonger(options, failure ?? "failure")
                    : ++_successes >= options.SuccessThreshold ? CloseNow("probes succeeded")
                    : null;
            }

            return Reason(options) is { } reason ? OpenLonger(options, reason) : null;
        }
    }

    /// <summary>Sends nothing for a while, because the server said so.</summary>
    public void Cool(TimeSpan wait, bool rateLimited, BreakerOptions options)
    {
        lock (_gate)
        {
            _cooling.Extend(Now().Ticks + Math.Min(wait.Ticks, options.MaxCooling.Ticks), rateLimited);
        }
    }

    /// <summary>
    /// An operator's word, unless it was followed before or a later one was: open until the time is over, or for good; closed, with nothing
    /// in the window that could open it again at once; reset, as new but for the list of transitions, which shows it.
    /// </summary>
    public BreakerTransition? Follow(OperatorAction action)
    {
        lock (_gate)
        {
            if (action.Sequence <= _followed)
                return null;

            _followed = action.Sequence;
            return action.Verb switch
            {
                OperatorVerb.Open => ForceOpen(action.Until),
                _ when action.At < _bornAt && _state == BreakerState.Closed => null, // what it ends was never here
                OperatorVerb.Reset => ResetNow(),
                _ => CloseNow("operator"),
            };
        }
    }

    public BreakerView View(BreakerOptions options)
    {
        lock (_gate)
        {
            var (now, utc) = (Now(), time.GetUtcNow());
            _counts.Slide(now, options.Window);
            var open = _state is BreakerState.Open or BreakerState.ForcedOpen && _until != long.MaxValue && _until > now.Ticks;
            return new BreakerView(Model, _state.Label(),
                _counts.Samples, _counts.Failures, Math.Round(_counts.FailureRatio, 3), _counts.Slow, _consecutive,
                open ? utc.AddTicks(_until - now.Ticks) : null,
                _cooling.Left(now.Ticks) is { } left ? utc + left.Time : null,
                _lastFailure,
                _log.View());
        }
    }

    private TimeSpan Now() => time.GetElapsedTime(_born);

    private BreakerWait? BlockedNow(BreakerOptions options)
    {
        var now = Now().Ticks;
        if (_cooling.Left(now) is { } cooling)
            return cooling;

        return _state switch
        {
            BreakerState.Open or BreakerState.ForcedOpen when _until > now =>
                new BreakerWait(_until == long.MaxValue ? options.MaxOpenDuration : TimeSpan.FromTicks(_until - now), RateLimited: false),
            BreakerState.HalfOpen when _probes >= options.HalfOpenProbes => new BreakerWait(TimeSpan.FromSeconds(1), RateLimited: false),
            _ => null,
        };
    }

    private string? Reason(BreakerOptions options)
    {
        if (_counts.Samples < options.MinSamples)
            return _consecutive >= options.ConsecutiveFailures ? "consecutive failures" : null;

        return _counts.FailureRatio >= options.FailureRatio ? "failure ratio"
            : _counts.SlowRatio >= options.SlowRatio ? "slow calls"
            : null;
    }

    private BreakerTransition OpenLonger(BreakerOptions options, string reason)
    {
        var longer = options.OpenDuration.Ticks * Math.Pow(2, Math.Min(_openings++, 30));
        _until = Now().Ticks + (long)Math.Min(longer, options.MaxOpenDuration.Ticks);
        return Move(BreakerState.Open, reason);
    }

    private BreakerTransition? ForceOpen(DateTimeOffset? until)
    {
        var left = until - time.GetUtcNow();
        if (left <= TimeSpan.Zero)
            return null;

        _until = left is { } limited ? Now().Ticks + limited.Ticks : long.MaxValue;
        return Move(BreakerState.ForcedOpen, "operator");
    }

    private BreakerTransition ResetNow()
    {
        _cooling.End();
        _lastFailure = null;
        return CloseNow("reset by operator");
    }

    private BreakerTransition CloseNow(string reason)
    {
        _openings = 0;
        return Move(BreakerState.Closed, reason);
    }

    private BreakerTransition Move(BreakerState to, string reason)
    {
        var transition = new BreakerTransition(Replica, Model, _state, to, reason, time.GetUtcNow());
        _log.Add(transition);
        (_probes, _successes) = (0, 0);
        _epoch++;
        if (to == BreakerState.Closed)
        {
            _counts.Clear();
            _consecutive = 0;
        }

        _state = to;
        return transition;
    }
}
