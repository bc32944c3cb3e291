using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Providers;

/// <summary>
/// Resets breakers as an operator would at the proxy: closed, statistics and cooling forgotten. Every proxy follows within a second, as
/// long as there is Redis for them to meet at.
/// </summary>
internal sealed class ProviderReset(
    IHttpClientFactory clients, ProviderFleet fleet, IConfiguration configuration, IOptions<InferenceOptions> options, TimeProvider time)
{
    private const string KeySetting = "Inference:OperatorKey";
    private const string AllProxies = "all proxies";

    /// <summary>Of one provider, or of all where it is null; of one model, or of all, also of those that a server serves one day.</summary>
    /// <exception cref="RequestException">404: there is no such thing; 503: the proxy does not take the operator's key.</exception>
    /// <exception cref="InferenceException">No proxy can be reached.</exception>
    public async Task<ResetData> ResetAsync(string? provider, string? model, CancellationToken cancellationToken)
    {
        if (configuration[KeySetting] is not { Length: > 0 } key)
            throw NotAllowed($"Set {KeySetting} of this service to the value that it has at the proxies.");

        // 1. Which servers it is about.
        fleet.Forget();
        var providers = await fleet.ReadAsync(cancellationToken);
        if (provider is not null)
        {
            var named = providers.Where(one => one.Name == provider || ProviderView.NameOf(one) == provider).ToArray();
            providers = named.Length > 0 ? named : throw RequestException.NotFound(
                $"There is no provider '{provider}'. There are: {string.Join(", ", providers.Select(ProviderView.NameOf))}.");
        }

        var replicas = providers.SelectMany(one => one.Replicas)
            .Where(replica => model is null || replica.Models.Contains(model) || replica.Breakers.Any(breaker => breaker.Model == model))
            .Select(replica => replica.Name).ToArray();
        if (replicas.Length == 0 && model is not null)
            throw RequestException.NotFound($"No model server serves '{model}'. GET /v1/models lists what is served.");

        // 2. Each of them.
        var answers = await Task.WhenAll(replicas.Select(replica => ResetAsync(replica, model, key, cancellationToken)));
        fleet.Forget();
        var failed = replicas.Where((_, i) => answers[i] is null).ToArray();
        if (replicas.Length > 0 && failed.Length == replicas.Length)
            throw new InferenceException(InferenceFailure.Unavailable, "The inference proxy did not reset anything. Try again shortly.");
        var reached = answers.OfType<ResetAnswer>().ToArray();
        return new ResetData(
            [.. replicas.Except(failed)],
            failed,
            Array.Find(reached, answer => answer.Scope != AllProxies)?.Scope ?? AllProxies,
            reached.Select(answer => answer.Message).FirstOrDefault(message => message is not null));
    }

    /// <returns>Null where this one was not reset: it is gone, or the proxy is.</returns>
    private async Task<ResetAnswer?> ResetAsync(string replica, string? model, string key, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(options.Value.HealthTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        var query = model is null ? "" : $"?model={Uri.EscapeDataString(model)}";
        using var request = new HttpRequestMessage(
            HttpMethod.Post, new Uri($"providers/{Uri.EscapeDataString(replica)}/reset{query}", UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        try
        {
            using var response = await clients.CreateClient(InferenceClient.HttpClientName).SendAsync(request, joined.Token);
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                throw NotAllowed($"{KeySetting} is not the same here and at the proxy.");
            return response.IsSuccessStatusCode
                ? await response.Content.ReadFromJsonAsync(ProxyContext.Default.ResetAnswer, joined.Token)
                : null;
        }
        catch (Exception exception) when (
            !cancellationToken.IsCancellationRequested
            && exception is HttpRequestException or IOException or JsonException or OperationCanceledException)
        {
            return null;
        }
    }

    private static RequestException NotAllowed(string what) =>
        new(StatusCodes.Status503ServiceUnavailable, $"The inference proxy takes no orders from here. {what}") { Code =
            "operator_key_not_configured" };
}

/// <summary>The proxy's answer.</summary>
internal sealed record ResetAnswer(string? Scope, string? Message);
