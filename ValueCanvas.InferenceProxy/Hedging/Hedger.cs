using System.Collections.Concurrent;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Hedging;

/// <summary>
/// Hedges streams before their first content: one that takes longer than most of its model's recent ones is asked for at another replica,
/// too. Whichever has content first is the answer and the other is cancelled at once. A hedge only ever takes what is idle, within a cap.
/// </summary>
internal sealed class Hedger(AdmissionQueue admission, AttemptRunner attempts, HedgeBudget budget, HedgeMetrics metrics, TimeProvider time)
{
    // A server that lists ever new models shall not fill the memory: those beyond are not hedged.
    private const int MostModels = 1024;

    private readonly ConcurrentDictionary<string, FirstContentTimes> _times = new(StringComparer.Ordinal);

    /// <summary>A request has come, which adds to what the cap allows.</summary>
    public void Request() => budget.Request();

    /// <summary>The attempt that is to go on, with content or with the failure that was left. Any other has been disposed.</summary>
    public async Task<RunningAttempt> FirstContentAsync(HttpContext context, RequestBody body, RunningAttempt first)
    {
        var running = first;
        if (Delay(first) is { } delay && !await CompletesAsync(first.FirstContent, delay) && Start(context, body, first) is { } hedge)
        {
            running = await RaceAsync(first, hedge);
            (running == hedge && hedge.Failure == AttemptFailure.None ? (Action)metrics.Won : metrics.Lost)();
        }
        else
        {
            attempts.Learn(first, await first.FirstContent);
        }

        if (running.Failure == AttemptFailure.None && running.Attempt.IsEventStream)
            Remember(running, running.Attempt.FirstContent);

        return running;
    }

    /// <summary>How long to wait before hedging; null for not at all.</summary>
    private TimeSpan? Delay(RunningAttempt first)
    {
        var options = first.Call.Topology.Options;
        var (hedging, model) = (options.Hedging, first.Target.Model);
        return hedging is { Enabled: true, MaxShare: > 0 } && model.Replicas.Length > 1 && first.Call.Attempts < options.Retries.MaxAttempts
            && _times.TryGetValue(model.Model, out var times) && times.Percentile(hedging.Percentile, hedging.MinSamples) is { } usual
                ? usual > hedging.MinDelay ? usual : hedging.MinDelay
                : null;
    }

    private async Task<bool> CompletesAsync(Task task, TimeSpan limit)
    {
        await task.WaitAsync(limit, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }

    /// <summary>Asks another replica of the same target that is idle, if there is one and the cap allows.</summary>
    private RunningAttempt? Start(HttpContext context, RequestBody body, RunningAttempt first)
    {
        var (call, model) = (first.Call, first.Target.Model);
        var options = call.Topology.Options;
        var unfit = new List<Replica>(call.Tried ?? []);
        unfit.AddRange(model.Replicas.Where(replica => replica == first.Target.Replica
            || replica.Upstream.Kind != first.Target.Replica.Upstream.Kind
            || replica.Load.Saturated || replica.Breakers.Of(model.Model).State != BreakerState.Closed));
        var route = new RouteRequest(model.Model, call.Peek.Stream, call.Peek.Fields.PromptBytes, call.Prefix);
        if (admission.TryPlace(model.Replicas, options, route, unfit) is not { } place)
            return null;

        if (!budget.TrySpend(options.Hedging.MaxShare))
        {
            metrics.Refused();
        }
        else if (place.Replica.Breakers.Of(model.Model).TryEnterClosed(out var pass))
        {
            var target = new ForwardedCall.Target(place, pass, model, call.Key(place.Replica.Upstream));
            return attempts.Start(context, body, call, target, hedge: true);
        }

        place.Dispose();
        return null;
    }

    private async Task<RunningAttempt> RaceAsync(RunningAttempt first, RunningAttempt hedge)
    {
        await Task.WhenAny(first.FirstContent, hedge.FirstContent);
        var (ahead, behind) = first.FirstContent.IsCompleted ? (first, hedge) : (hedge, first);
        attempts.Learn(ahead, await ahead.FirstContent);
        if (!ahead.Failure.MovesOn())
        {
            await DropAsync(behind, hedge);
            return ahead;
        }

        TargetChooser.PassOver(ahead);
        ahead.Dispose();
        attempts.Learn(behind, await behind.FirstContent);
        return behind;
    }

    private async Task DropAsync(RunningAttempt behind, RunningAttempt hedge)
    {
        if (behind != hedge)
        {
            Remember(behind, behind.Attempt.Elapsed); // it would have taken longer still
        }

        behind.Attempt.Abandon(AttemptFailure.Outrun);
        await behind.FirstContent;
        behind.Failure = AttemptFailure.Outrun;
        behind.Dispose();
    }

    private void Remember(RunningAttempt running, TimeSpan taken)
    {
        var model = running.Target.Model.Model;
        if (_times.TryGetValue(model, out var times) || _times.Count < MostModels)
            (times ?? _times.GetOrAdd(model, static (_, time) => new FirstContentTimes(time), time)).Add(taken);
    }
}
