using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>A job as the API shows it; <c>result</c> once it succeeded, <c>error</c> of the last attempt that failed.</summary>
internal sealed record JobData(
    Guid JobId,
    string Type,
    string? PromptKey,
    string Status,
    int Priority,
    int Attempts,
    int MaxAttempts,
    DateTimeOffset CreatedAt,
    DateTimeOffset RunAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JobErrorData? Error,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JsonElement? Result)
{
    public static JobData From(Job job, string? result = null) => new(
        job.Id,
        job.Type,
        job.PromptKey,
        job.State.ToName(),
        job.Priority,
        job.Attempt,
        job.MaxAttempts,
        job.CreatedAt,
        job.RunAt,
        job.StartedAt,
        job.FinishedAt,
        job is { ErrorCode: { } code, ErrorMessage: { } message } ? new(code, message) : null,
        result is null ? null : Parse(result));

    private static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}

internal sealed record JobErrorData(string Code, string Message);

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record JobPage(IReadOnlyList<JobData> Items, string? NextCursor);

/// <summary>How many of the tenant's jobs are in which state, and for how long the first one that may run has waited.</summary>
internal sealed record QueueMetrics(IReadOnlyDictionary<string, long> Jobs, long Total, double? OldestWaitSeconds)
{
    public static QueueMetrics From(JobCounts counts) => new(
        counts.ByState.ToDictionary(pair => pair.Key.ToName(), pair => pair.Value),
        counts.ByState.Values.Sum(),
        counts.OldestWait is { } wait ? Math.Round(wait.TotalSeconds, 3) : null);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(JobBody))]
[JsonSerializable(typeof(Envelope<JobData>))]
[JsonSerializable(typeof(Envelope<JobPage>))]
[JsonSerializable(typeof(Envelope<QueueMetrics>))]
internal sealed partial class JobContext : JsonSerializerContext;
