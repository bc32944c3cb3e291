using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Health;

/// <summary>
/// PostgreSQL is away: whoever is known goes on asking models for <see cref="KnownKeys.Trust"/>, so this service is degraded until then and
/// not ready only after it, or where it has never known anybody.
/// </summary>
internal sealed class DatabaseGrace(DatabaseHealthCheck database, KnownKeys keys) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var found = await database.CheckHealthAsync(context, cancellationToken);
        return found.Status == HealthStatus.Unhealthy && keys.AreTrusted
            ? new HealthCheckResult(
                HealthStatus.Degraded,
                $"{found.Description} Known callers go on for {KnownKeys.Trust.TotalMinutes:0} minutes.",
                found.Exception)
            : found;
    }
}
