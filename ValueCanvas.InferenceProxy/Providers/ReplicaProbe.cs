using System.Collections.Frozen;
using System.Diagnostics;
using System.Net;
using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>One look at one replica: is it healthy, and what does it serve.</summary>
internal sealed partial class ReplicaProbe(UpstreamClient upstream, TimeProvider time, ILogger<ReplicaProbe> logger)
{
    private const int LargestModelList = 4 * 1024 * 1024;

    public async Task LookAsync(Replica replica, TimeSpan limit, CancellationToken cancellationToken)
    {
        var hosted = replica.Upstream.Kind.IsHosted;
        if (hosted && !replica.ShouldAsk())
            return;

        using var bound = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var health = hosted ? Task.CompletedTask : HealthAsync(replica, either.Token);
            var models = ModelsAsync(replica, either.Token);
            await Task.WhenAll(health, models);
            var before = replica.Answered(await models);
            if (before != ReplicaStatus.Up)
                Log.Up(logger, replica.Name, before);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The program ends; nothing was learned about the replica.
        }
        catch (Exception e) when (hosted && replica.State.Models.Count > 0
            && (e is OperationCanceledException or HttpRequestException or JsonException or IOException))
        {
            // The list that is known goes on; requests tell whether the service is there.
        }
        catch (OperationCanceledException)
        {
            Report(replica, replica.Failed($"no answer to the health look within {limit.TotalMilliseconds:0} ms", slow: true));
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or IOException)
        {
            Report(replica, replica.Failed(Describe(e)));
        }
    }

    /// <summary>What went wrong, from a fixed set of words.</summary>
    public static string Describe(Exception failure) => failure switch
    {
        HttpRequestException { StatusCode: { } status } => $"answered {(int)status}",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "the name does not resolve",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => "refuses connections",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "no TLS connection",
        JsonException => "the list of models is malformed",
        _ => "the connection broke",
    };

    private async Task HealthAsync(Replica replica, CancellationToken cancellationToken)
    {
        using var request = Question(replica, "/health");
        using var response = await upstream.SendAsync(request, cancellationToken);
        if (response.StatusCode != HttpStatusCode.NotFound) // a server without this path is healthy if it lists its models
        {
            response.EnsureSuccessStatusCode();
        }

        await response.Content.LoadIntoBufferAsync(LargestModelList, cancellationToken);
    }

    private async Task<FrozenDictionary<string, ServedModel>> ModelsAsync(Replica replica, CancellationToken cancellationToken)
    {
        var provider = replica.Upstream;
        if (provider.StaticModels.Count > 0)
            return provider.StaticModels;

        using var request = Question(replica, provider.Kind.Prefix + "/models");
        provider.Kind.Authorize(request, provider.Credentials.Take());
        using var response = await upstream.SendAsync(request, cancellationToken);
        response.EnsureSuccessStatusCode();
        await response.Content.LoadIntoBufferAsync(LargestModelList, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var list = await JsonDocument.ParseAsync(body, cancellationToken: cancellationToken);
        try
        {
            // Together.ai lists without an envelope, Gemini with a prefix that its requests need not have.
            var models = list.RootElement.ValueKind == JsonValueKind.Array ? list.RootElement : list.RootElement.GetProperty("data");
            return models.EnumerateArray().Select(Parse).ToFrozenDictionary(m => m.Id, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException or ArgumentException or FormatException)
        {
            throw new JsonException("not a list of models", e);
        }
    }

    /// <summary>Not sampled: a look leaves no span here and shall leave none at the replica, which is looked at every second.</summary>
    public static ReplicaRequest Question(Replica replica, string path)
    {
        var request = replica.Request(HttpMethod.Get, path);
        request.Headers.Add("traceparent", $"00-{ActivityTraceId.CreateRandom()}-{ActivitySpanId.CreateRandom()}-00");
        return request;
    }

    private static ServedModel Parse(JsonElement model) => new(
        WithoutPrefix(model.GetProperty("id").GetString() ?? throw new JsonException("a model without id")),
        model.TryGetProperty("created", out var created) && created.TryGetInt64(out var seconds) ? seconds : 0,
        model.TryGetProperty("owned_by", out var owner) ? owner.GetString() ?? "" : "",
        model.TryGetProperty("max_model_len", out var length) && length.ValueKind == JsonValueKind.Number ? length.GetInt32() : null);

    private static string WithoutPrefix(string id) => id.StartsWith("models/", StringComparison.Ordinal) ? id["models/".Length..] : id;

    private void Report(Replica replica, ReplicaStatus before)
    {
        if (before != ReplicaStatus.Down && replica.State is { Status: ReplicaStatus.Down } state)
            Log.Down(logger, replica.Name, state.LastError);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Replica {Replica} is up (it was {Before})")]
        public static partial void Up(ILogger logger, string replica, ReplicaStatus before);

        [LoggerMessage(LogLevel.Warning, "Replica {Replica} is down: {Reason}")]
        public static partial void Down(ILogger logger, string replica, string? reason);
    }
}
