using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry;

namespace ValueCanvas.ServiceDefaults.Health;

/// <summary>
/// Runs the registered checks, all at once and each within a bound, and keeps the result for a short time. Probes cannot pile up: they
/// share one round, and a check that hangs is not started a second time before it has come back.
/// </summary>
internal sealed partial class HealthProbe(
    IOptions<HealthCheckServiceOptions> checks,
    IOptions<HealthOptions> options,
    IServiceScopeFactory scopes,
    TimeProvider time,
    ILogger<HealthProbe> logger)
{
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Task<HealthCheckResult>> _running = new();
    private readonly ConcurrentDictionary<string, HealthStatus> _last = new();
    private Task<IReadOnlyList<CheckResult>>? _round;
    private long _finished;

    /// <summary>The state of every registered check, at most <see cref="HealthOptions.CacheFor"/> old.</summary>
    public Task<IReadOnlyList<CheckResult>> CheckAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            var stale = _round is null || (_round.IsCompleted && time.GetElapsedTime(_finished) >= options.Value.CacheFor);
            if (stale)
            {
                // On its own, so that a probe which gives up does not take the round from the others.
                _round = Task.Run(RunAsync, CancellationToken.None);
            }

            return _round!.WaitAsync(cancellationToken);
        }
    }

    private async Task<IReadOnlyList<CheckResult>> RunAsync()
    {
        using var quiet = SuppressInstrumentationScope.Begin();
        var results = await Task.WhenAll(checks.Value.Registrations.Select(RunAsync));
        Volatile.Write(ref _finished, time.GetTimestamp());
        return results;
    }

    private async Task<CheckResult> RunAsync(HealthCheckRegistration check)
    {
        var limit = options.Value.CheckTimeout;
        var started = time.GetTimestamp();
        HealthCheckResult result;
        try
        {
            // Only one round runs at a time, so nobody else starts this check between the look and the start.
            if (!_running.TryGetValue(check.Name, out var task) || task.IsCompleted)
                _running[check.Name] = task = Task.Run(() => InvokeAsync(check, limit));

            result = await task.WaitAsync(limit, time);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            result = new HealthCheckResult(check.FailureStatus, $"no answer within {limit.TotalMilliseconds:0} ms");
        }
        catch (Exception e)
        {
            Log.CheckThrew(logger, check.Name, e.GetType().Name);
            result = new HealthCheckResult(check.FailureStatus, "the check failed");
        }

        var before = _last.GetValueOrDefault(check.Name, HealthStatus.Healthy);
        _last[check.Name] = result.Status;
        if (before != result.Status)
        {
            Log.Changed(logger, result.Status == HealthStatus.Healthy ? LogLevel.Information
                : LogLevel.Warning, check.Name, before, result.Status,
                result.Description);
        }

        return new CheckResult(check.Name, result.Status, time.GetElapsedTime(started), result.Description, Parts(result));
    }

    private static Dictionary<string, string>? Parts(HealthCheckResult result)
    {
        var parts = result.Data.Where(part => part.Value is string).ToDictionary(part => part.Key, part => (string)part.Value);
        return parts.Count > 0 ? parts : null;
    }

    private async Task<HealthCheckResult> InvokeAsync(HealthCheckRegistration check, TimeSpan limit)
    {
        using var cancellation = new CancellationTokenSource(limit, time);
        await using var scope = scopes.CreateAsyncScope();
        var instance = check.Factory(scope.ServiceProvider);
        return await instance.CheckHealthAsync(new HealthCheckContext { Registration = check }, cancellation.Token);
    }

    /// <summary>What one check found.</summary>
    internal sealed record CheckResult(
        string Name, HealthStatus Status, TimeSpan Latency, string? Description, IReadOnlyDictionary<string, string>? Parts);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Health check {Check} threw {ExceptionType}")]
        public static partial void CheckThrew(ILogger logger, string check, string exceptionType);

        [LoggerMessage("Health of {Check} went from {Before} to {After}: {Description}")]
        public static partial void Changed(
            ILogger logger, LogLevel level, string check, HealthStatus before, HealthStatus after, string? description);
    }
}
