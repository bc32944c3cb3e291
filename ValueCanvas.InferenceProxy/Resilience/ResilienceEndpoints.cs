using System.Globalization;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>An operator's hand on the breakers of a replica: of all its models, or of the one that <c>?model=</c> names.</summary>
internal static class ResilienceEndpoints
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    public static IServiceCollection AddResilience(this IServiceCollection services)
    {
        services.AddSingleton<RetryBudget>();
        services.AddSingleton<ResilienceSignals>();
        return services;
    }

    public static IEndpointRouteBuilder MapResilienceEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/providers/{replica}/reset", (HttpContext context, string replica, Fleet fleet, ResilienceSignals signals) =>
            ActAsync(context, replica, fleet, signals, static (breaker, _) => breaker.Reset()));
        endpoints.MapPost("/providers/{replica}/close", (HttpContext context, string replica, Fleet fleet, ResilienceSignals signals) =>
            ActAsync(context, replica, fleet, signals, static (breaker, _) => breaker.Close()));
        endpoints.MapPost("/providers/{replica}/open", (HttpContext context, string replica, Fleet fleet, ResilienceSignals signals) =>
            ActAsync(context, replica, fleet, signals, static (breaker, duration) => breaker.ForceOpen(duration)));
        return endpoints;
    }

    private static Task ActAsync(
        HttpContext context, string name, Fleet fleet, ResilienceSignals signals, Func<Breaker, TimeSpan?, BreakerTransition> act)
    {
        var topology = fleet.Current;
        if (Array.Find(topology.Replicas, r => r.Name == name) is not { } replica)
        {
            var message = $"There is no replica '{name}'. GET /providers lists them: {string.Join(", ", topology.Replicas.Select(r => r.Name))}.";
            return new ProxyError(StatusCodes.Status404NotFound, "invalid_request_error", "replica_not_found", "replica", message).WriteAsync(context);
        }

        if (!TryReadDuration(context.Request.Query["duration"], out var duration))
        {
            return ProxyError.BadRequest("The duration must be positive and at most seven days: seconds (90) or hh:mm:ss (00:01:30).", "duration")
                .WriteAsync(context);
        }

        string? model = context.Request.Query["model"];
        var known = replica.State.Models.Keys.Union(replica.Breakers.All.Select(b => b.Model)).ToArray();
        if (model is not null && !known.Contains(model))
        {
            return ProxyError.UnknownModel(model, known).WriteAsync(context);
        }

        foreach (var each in model is null ? known : [model])
        {
            signals.Moved(act(replica.Breakers.Of(each), duration), span: null);
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static bool TryReadDuration(string? text, out TimeSpan? duration)
    {
        duration = null;
        if (string.IsNullOrEmpty(text))
        {
            return true;
        }

        var read = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            ? seconds > 0 && seconds <= Longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : TimeSpan.Zero
            : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) ? time : TimeSpan.Zero;
        duration = read;
        return read > TimeSpan.Zero && read <= Longest;
    }
}
