using ValueCanvas.InferenceProxy.Accounts;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>One request on its way: what does not change from attempt to attempt, and what was tried.</summary>
internal sealed class ForwardedCall : IDisposable
{
    private int _target = -1;

    public ForwardedCall(
        Topology topology, InferenceOperation operation, ModelRoute route, RequestPeek peek, Translation translation, Caller caller,
        TimeProvider time, long started)
    {
        Caller = caller;
        (Topology, Operation, Route, Peek, Translation) = (topology, operation, route, peek, translation);
        (Overhead, Started, LastSign) = (new Overhead(time), started, started);
        NextTarget();
    }

    public Topology Topology { get; }

    public InferenceOperation Operation { get; }

    /// <summary>The targets that the name in the request means, in their order.</summary>
    public ModelRoute Route { get; }

    /// <summary>The one of them that it is the turn of.</summary>
    public ModelTarget Turn => Route.Targets[_target];

    /// <summary>What its replicas call the model.</summary>
    public string Model => Turn.Model;

    /// <summary>It is another target's turn than the first one's.</summary>
    public bool IsFallback => _target > 0;

    public RequestPeek Peek { get; }

    public Translation Translation { get; }

    /// <summary>The proxy's own part in the time that the request takes.</summary>
    public Overhead Overhead { get; }

    public long Started { get; }

    /// <summary>When the client of a stream last got a sign of life, or began to wait for one.</summary>
    public long LastSign { get; set; }

    public TimeLimits Limits { get; private set; }

    /// <summary>Replicas asked so far; the one being asked included.</summary>
    public int Attempts { get; set; }

    /// <summary>Replicas not to be asked again: they failed, or let nothing through. Null while there is none.</summary>
    public List<Replica>? Tried { get; set; }

    /// <summary>Why the last attempt failed.</summary>
    public AttemptFailure Failure { get; set; }

    /// <summary>The first attempt whose model declined the request: its words are the answer when no other model takes it.</summary>
    public RunningAttempt? Declined { get; private set; }

    /// <summary>Who asks.</summary>
    public Caller Caller { get; }

    /// <summary>What the caller is told of its costs; null where it has not asked.</summary>
    public CallAccounts? Accounts { get; init; }

    /// <summary>What routing knows of the prompt; null where it does not look.</summary>
    public required PromptPrefix? Prefix { get; init; }

    /// <summary>Why no place was given; null where one was, or none could be.</summary>
    public ProxyError? Refused { get; set; }

    /// <summary>A provider was passed over because it refuses all of its keys.</summary>
    public bool CredentialsExhausted { get; private set; }

    /// <summary>The provider that refused the tenant's own key; null while none did.</summary>
    public string? RefusedTenantKey { get; private set; }

    /// <summary>A provider was passed over because it does not have this operation.</summary>
    public bool Unsupported { get; private set; }

    /// <summary>Why the first provider was passed over that could not have understood the request; null while there is none.</summary>
    public ProxyError? Unfit { get; private set; }

    /// <summary>There is a provider that understands the request, whether or not it can be asked at the moment.</summary>
    public bool IsUnderstood { get; private set; }

    /// <summary>The answer has begun: nobody else than a replica of this target can go on with it.</summary>
    public bool IsResuming { get; private set; }

    /// <summary>From now on only those are asked that can go on with the answer, within what is left of its time; false when nothing
    /// is.</summary>
    public bool Resume(TimeProvider time)
    {
        IsResuming = true;
        PassOver();
        var limits = TimeLimits.Of(Topology.Options, Model, Peek.Stream);
        var left = limits.Total - time.GetElapsedTime(Started);
        Limits = limits with
        {
            Total = left,
            Headers = left < limits.Headers ? left : limits.Headers,
            FirstToken = left < limits.FirstToken ? left : limits.FirstToken,
        };
        return left > TimeSpan.Zero;
    }

    /// <summary>Keeps the answer of the first attempt whose model declined.</summary>
    public void Keep(RunningAttempt declined)
    {
        if (Declined is null)
            (Declined, declined.IsKept) = (declined, true);
    }

    public void Dispose()
    {
        if (Declined is { } declined)
        {
            declined.IsKept = false;
            declined.Dispose();
        }
    }

    /// <summary>Makes it the next target's turn; false when there is none.</summary>
    public bool NextTarget()
    {
        if (IsResuming || _target + 1 >= Route.Targets.Length)
            return false;

        _target++;
        Tried?.Clear();
        Limits = TimeLimits.Of(Topology.Options, Model, Peek.Stream);
        PassOver();
        return true;
    }

    /// <summary>Takes out the replicas whose provider cannot take the request, whatever their state.</summary>
    public void PassOver()
    {
        foreach (var replica in Turn.Replicas)
        {
            var upstream = replica.Upstream;
            var own = Caller.Keys?.Of(upstream.Name);
            var supported = upstream.Kind.Supports(Operation);
            var exhausted = own is null ? upstream.Credentials.IsExhausted : own.Disabled is not null;
            RefusedTenantKey ??= own?.Disabled is null ? null : upstream.Name;
            var serves = replica.State.Models.ContainsKey(Model);
            var unfit = serves && supported && !IsResuming ? Translation.Unfit(upstream.Kind, Turn) : null;
            if (unfit is null && supported && !exhausted && (!IsResuming || Resumable.IsAble(replica)))
            {
                IsUnderstood |= serves;
                continue;
            }

            (Tried ??= []).Add(replica);
            Unfit ??= unfit;
            Unsupported |= serves && !supported;
            CredentialsExhausted |= serves && supported && exhausted && unfit is null;
        }
    }

    /// <summary>What to ask a provider with: the tenant's own key where it has one, and then no other.</summary>
    public Credential? Key(Upstream upstream) => Caller.Keys?.Of(upstream.Name) ?? upstream.Credentials.Take();

    /// <summary>The replica's provider has the operation and understands the request.</summary>
    public bool IsFor(Replica replica) =>
        replica.Upstream.Kind.Supports(Operation) && Translation.Unfit(replica.Upstream.Kind, Turn) is null;

    /// <summary>What is asked: a place at a replica whose breaker has let the request through, for a model, with a key where its provider
    /// has any.</summary>
    public readonly record struct Target(Placement Place, BreakerPass Pass, ModelTarget Model, Credential? Credential)
    {
        public Replica Replica => Place.Replica;
    }
}
