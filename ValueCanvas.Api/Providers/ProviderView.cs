using ValueCanvas.ServiceDefaults.Health;

namespace ValueCanvas.Api.Providers;

/// <summary>One provider as its users see it.</summary>
/// <param name="State">
/// Of its breakers: <c>closed</c>, <c>half_open</c>, <c>open</c>. Of the model that is worst off, and of that at the server that is best
/// off; <c>not_configured</c> where the installation has no such provider.
/// </param>
/// <param name="Status"><c>healthy</c>, <c>degraded</c> (some servers answer) or <c>unhealthy</c> (none does, or no key is left).</param>
/// <param name="Replicas">Its servers.</param>
/// <param name="Available">Those that take requests.</param>
/// <param name="InFlight">Requests under way there.</param>
/// <param name="Requests">Ended in the breakers' window of time.</param>
/// <param name="Failures">Of those.</param>
/// <param name="KeysResting">API keys of this provider that it refused lately.</param>
/// <param name="Breakers">Each of them.</param>
internal sealed record ProviderView(
    string State, string Status, int Replicas, int Available, int InFlight, int Requests, int Failures, int KeysResting,
    IReadOnlyList<BreakerRow> Breakers)
{
    public static readonly ProviderView Missing = new("not_configured", HealthNames.Unhealthy, 0, 0, 0, 0, 0, 0, []);

    public static ProviderView Of(ProviderState provider, DateTimeOffset now)
    {
        var replicas = provider.Replicas;
        var resting = provider.Credentials.Count(credential => !credential.IsReady);
        var exhausted = resting > 0 && resting == provider.Credentials.Count;
        var available = exhausted ? 0 : replicas.Count(replica => replica is { IsUp: true, Draining: false });
        var breakers = replicas.SelectMany(
            replica => replica.Breakers.Select(breaker => (Replica: replica.Name, Breaker: breaker))).ToArray();
        var worst = breakers.GroupBy(one => one.Breaker.Model, one => Rank(one.Breaker, now))
            .Select(model => model.Min()).DefaultIfEmpty(0).Max();
        return new ProviderView(
            worst switch { 0 => BreakerState.Closed, 1 => BreakerState.HalfOpen, _ => BreakerState.Open },
            available == 0 ? HealthNames.Unhealthy : available < replicas.Count ? HealthNames.Degraded : HealthNames.Healthy,
            replicas.Count,
            available,
            replicas.Sum(replica => replica.InFlight),
            breakers.Sum(one => one.Breaker.Samples),
            breakers.Sum(one => one.Breaker.Failures),
            resting,
            [.. breakers.Select(one => new BreakerRow(
                one.Replica, one.Breaker.Model, one.Breaker.State, one.Breaker.Samples, one.Breaker.Failures, one.Breaker.FailureRatio,
                one.Breaker.OpenUntil, one.Breaker.LastFailure))]);
    }

    /// <summary>The names under which other deployments of ValueCanvas know providers.</summary>
    public static string NameOf(ProviderState provider) => provider.Name switch
    {
        "together" => ProviderNames.Together,
        "openai" => ProviderNames.OpenAi,
        var name => name,
    };

    // One whose time is over lets the next request try.
    private static int Rank(BreakerState breaker, DateTimeOffset now) =>
        breaker.State == BreakerState.Closed ? 0 : breaker.Blocks(now) ? 2 : 1;
}

internal static class ProviderNames
{
    public const string Together = "togetherAI";
    public const string OpenAi = "openAI";
}

internal sealed record BreakerRow(
    string Replica, string Model, string State, int Requests, int Failures, double FailureRatio, DateTimeOffset? OpenUntil,
    string? LastFailure);
