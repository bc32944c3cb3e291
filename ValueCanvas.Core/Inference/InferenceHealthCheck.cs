using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Inference;

/// <summary>
/// Asks the proxy whether it can serve: unhealthy where the proxy or every model server is away, degraded where some are. Bounds itself.
/// </summary>
public sealed class InferenceHealthCheck(IHttpClientFactory clients, IOptions<InferenceOptions> options, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var bound = new CancellationTokenSource(options.Value.HealthTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            using var response = await clients.CreateClient(InferenceClient.HttpClientName).GetAsync("health/ready", joined.Token);
            if (response.StatusCode != HttpStatusCode.OK)
                return new(context.Registration.FailureStatus, "No model server can answer.");
            var body = await response.Content.ReadAsByteArrayAsync(joined.Token);
            return StatusOf(body) is "degraded"
                ? HealthCheckResult.Degraded("Some model servers are away.")
                : HealthCheckResult.Healthy();
        }
        catch (HttpRequestException)
        {
            return new(context.Registration.FailureStatus, "The inference proxy cannot be reached.");
        }
        catch (OperationCanceledException) when (bound.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new(context.Registration.FailureStatus, "The inference proxy did not answer in time.");
        }
    }

    private static string? StatusOf(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, WireContext.Default.WireHealth)?.Status?.ToLowerInvariant();
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
