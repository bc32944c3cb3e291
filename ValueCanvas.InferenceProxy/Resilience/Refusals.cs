using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>What the client hears when there is nobody left to ask.</summary>
internal static class Refusals
{
    public static ProxyError Of(ForwardedCall call)
    {
        if (call.Failure.IsTimeout())
            return ProxyError.NoAnswer;

        if (call.Failure is AttemptFailure.EmptyStream or AttemptFailure.ErrorEvent or AttemptFailure.Malformed or AttemptFailure.Cut)
            return ProxyError.UpstreamFailed;

        if (call is { Failure: AttemptFailure.TenantCredential, RefusedTenantKey: { } provider })
            return ProxyError.TenantKeyRefused(provider);

        if (call.Failure == AttemptFailure.Credential || (call.Failure == AttemptFailure.None && call.CredentialsExhausted))
            return ProxyError.CredentialsExhausted(call.Peek.Model);

        if (call.Failure == AttemptFailure.None && call.Unsupported)
        {
            return call.Operation == InferenceOperation.CountTokens
                ? ProxyError.Uncountable(call.Peek.Model)
                : ProxyError.Unsupported(call.Peek.Model, call.Operation.Path);
        }

        if (call is { Failure: AttemptFailure.None, IsUnderstood: false, Unfit: { } unfit })
            return unfit;

        // Before every replica has been heard once, an unknown name may yet turn out to be served.
        var states = call.Topology.Replicas.Select(r => r.State).ToArray();
        var known = Array.Exists(call.Route.Targets, target => target.Served() is not null)
            || states.Any(s => s.Models.Count == 0 && s.Status != ReplicaStatus.Up);
        return known
            ? Wait(call)
            : ProxyError.UnknownModel(call.Peek.Model, states.SelectMany(s => s.Models.Keys).Concat(call.Topology.Routes.Names).Distinct()
                .Order(StringComparer.Ordinal));
    }

    /// <summary>The words for a replica's last error.</summary>
    public static string Describe(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Dns => "the name does not resolve",
        AttemptFailure.Tls => "no TLS connection",
        _ => "refuses connections",
    };

    /// <summary>As long as the first of those that could answer is blocked; one that is down may be back with the next look.</summary>
    private static ProxyError Wait(ForwardedCall call)
    {
        var options = call.Topology.Options;
        BreakerWait? shortest = null;
        foreach (var (replica, model) in call.Route.Targets.SelectMany(target =>
            target.Replicas.Select(replica => (replica, target.Model))))
        {
            if (replica.State is { } state && state.Models.ContainsKey(model))
            {
                var wait = state.Status == ReplicaStatus.Up ? replica.Breakers.Of(model).Blocked(options.Breaker) : null;
                var known = wait ?? new BreakerWait(TimeSpan.FromSeconds(1), RateLimited: false);
                shortest = shortest is { } s && s.Time <= known.Time ? s : known;
            }
        }

        return shortest is { RateLimited: true } limited
            ? ProxyError.RateLimited(call.Peek.Model, limited.Time)
            : ProxyError.NoReplica(call.Peek.Model, shortest?.Time);
    }
}
