using System.Diagnostics;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Says whom to ask next: a place at a replica whose breaker agrees, of the target whose turn it is or of a later one.</summary>
internal sealed class TargetChooser(AdmissionQueue admission, RetryBudget budget, ResilienceSignals signals, TimeProvider time)
{
    /// <summary>The first one to ask.</summary>
    public Task<ForwardedCall.Target?> FirstAsync(HttpContext context, ForwardedCall call) =>
        ChooseAsync(context, call, span: null, paid: true);

    /// <summary>Who can take over from an attempt that failed; null when its failure is final or nobody is left.</summary>
    public async Task<ForwardedCall.Target?> NextAsync(HttpContext context, RunningAttempt failed)
    {
        var (call, failure) = (failed.Call, failed.Failure);
        if (failure.IsDecline() ? !call.Route.FallsBackOn(failure) : !failure.MovesOn())
            return null;

        var otherKey = !failure.IsDecline() && !PassOver(failed);
        failed.Target.Place.Dispose(); // who waits for the next one holds none
        if ((call.Attempts >= call.Topology.Options.Retries.MaxAttempts && !otherKey) || (failure.IsDecline() && !call.NextTarget()))
            return null;

        // The budget is there for outages: a key or a model that says no is none.
        var next = await ChooseAsync(context, call, failed.Attempt.Span, paid: otherKey || failure.IsDecline());
        if (next is not null)
            signals.Retried(failure);

        return next;
    }

    /// <summary>Takes the replica of a failed attempt out of the choice; false where just the key failed and the replica may be asked with
    /// another.</summary>
    public static bool PassOver(RunningAttempt failed)
    {
        var (call, replica, credential) = (failed.Call, failed.Target.Replica, failed.Target.Credential);
        if (failed.Failure == AttemptFailure.Credential && credential is not null && !replica.Upstream.Credentials.IsExhausted)
            return false;

        (call.Tried ??= []).Add(replica);
        call.PassOver();
        return true;
    }

    /// <summary>The next replica to ask. A further one costs from the retry budget, unless it is only another key that is tried.</summary>
    private async Task<ForwardedCall.Target?> ChooseAsync(HttpContext context, ForwardedCall call, Activity? span, bool paid)
    {
        var options = call.Topology.Options;
        do
        {
            while (true)
            {
                var route = new RouteRequest(call.Model, call.Peek.Stream, call.Peek.Fields.PromptBytes, call.Prefix);
                var placing = admission.PlaceAsync(call.Turn, options, route, call.Tried, call.Caller, context.RequestAborted);
                var (place, refused) = placing.IsCompleted || !call.Peek.Stream
                    ? await placing
                    : await KeepAlive.WaitAsync(context, call, placing.AsTask(), time);
                if (place is not { Replica: var replica })
                {
                    call.Refused = refused ?? call.Refused; // of a target that is merely full; the next one may have a place
                    break;
                }

                call.Refused = null;
                if (!paid && !(paid = budget.TrySpend(options.Retries)))
                {
                    place.Dispose();
                    signals.BudgetSpent();
                    return null;
                }

                if (call.IsFor(replica)
                    && replica.Breakers.Of(call.Model).TryEnter(options.Breaker, out var pass, out var transition))
                {
                    signals.Moved(transition, span);
                    return new ForwardedCall.Target(place, pass, call.Turn, call.Key(replica.Upstream));
                }

                place.Dispose();
                (call.Tried ??= []).Add(replica); // its last place for a probe went to another request, or it is new and of the wrong kind
            }
        }
        while (call.NextTarget());

        return null;
    }
}
