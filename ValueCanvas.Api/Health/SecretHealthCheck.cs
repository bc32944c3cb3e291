using System.Security.Cryptography;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Health;

/// <summary>Seals and opens a secret, as keys of providers and of signatures are kept.</summary>
internal sealed class SecretHealthCheck(SecretBox secrets) : IHealthCheck
{
    private const string Purpose = "health";

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var secret = RandomNumberGenerator.GetBytes(16);
        var opened = secrets.Open(Purpose, "probe", secrets.Seal(Purpose, "probe", secret));
        return Task.FromResult(CryptographicOperations.FixedTimeEquals(secret, opened)
            ? HealthCheckResult.Healthy()
            : new HealthCheckResult(context.Registration.FailureStatus, "What was sealed does not open."));
    }
}
