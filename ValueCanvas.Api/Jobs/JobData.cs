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
    int Snoozes,
    string? UniqueKey,
    Guid? RetryOf,
    Guid? ParentId,
    DateTimeOffset CreatedAt,
    DateTimeOffset RunAt,
    DateTimeOffset? Deadline,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JobErrorData? Error,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<JobEventData>? History,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JsonElement? Result,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JobChildrenData? Children = null)
{
    public static JobData From(
        Job job, string? result = null, IReadOnlyList<JobEventRow>? history = null, JobChildrenData? children = null) => new(
        job.Id,
        job.Type,
        job.PromptKey,
        job.State.ToName(),
        job.Priority,
        job.Attempt,
        job.MaxAttempts,
        job.Snoozes,
        job.UniqueKey,
        job.RetryOf,
        job.ParentId,
        job.CreatedAt,
        job.RunAt,
        job.DeadlineAt,
        job.StartedAt,
        job.FinishedAt,
        job is { ErrorCode: { } code, ErrorMessage: { } message } ? new(code, message) : null,
        history?.Select(row => new JobEventData(row.Event, row.State, row.Attempt, row.At, row.ErrorCode)).ToArray(),
        result is null ? null : Parse(result),
        children);

    private static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}

/// <summary>
/// A parent's children: how many, how many in which state (those that there are), and what becomes of it where one fails.
/// </summary>
internal sealed record JobChildrenData(long Total, IReadOnlyDictionary<string, long> Jobs, string OnFailure)
{
    public static JobChildrenData? From(Job job, IReadOnlyDictionary<JobState, long> counts) => job.OnChildFailure is { } onFailure
        ? new(counts.Values.Sum(), counts.OrderBy(pair => pair.Key).ToDictionary(pair => pair.Key.ToName(), pair => pair.Value), onFailure)
        : null;
}

internal sealed record JobErrorData(string Code, string Message);

/// <summary>
/// Something that happened to a job: submitted, unblocked, claimed, retried, snoozed, released, rescued, succeeded, failed, cancelled.
/// </summary>
internal sealed record JobEventData(
    string Event,
    string Status,
    int Attempt,
    DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? ErrorCode);

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record JobPage(IReadOnlyList<JobData> Items, string? NextCursor);

/// <summary>Jobs in the order of their submission.</summary>
internal sealed record JobList(IReadOnlyList<JobData> Items);

/// <summary>
/// How many of the tenant's jobs are in which state, for how long the first one that may run has waited, and since when no job of anybody
/// is started (null: they are).
/// </summary>
internal sealed record QueueMetrics(
    IReadOnlyDictionary<string, long> Jobs, long Total, double? OldestWaitSeconds, JobLimitsData? Limits, DateTimeOffset? PausedSince)
{
    public static QueueMetrics From(JobCounts counts, JobLimitsData? limits, DateTimeOffset? pausedSince) => new(
        counts.ByState.ToDictionary(pair => pair.Key.ToName(), pair => pair.Value),
        counts.ByState.Values.Sum(),
        counts.OldestWait is { } wait ? Math.Round(wait.TotalSeconds, 3) : null,
        limits,
        pausedSince);
}

/// <summary>How many jobs there were to do something with.</summary>
internal sealed record JobCount(int Count);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(JobBody))]
[JsonSerializable(typeof(JobsBody))]
[JsonSerializable(typeof(JobLimitsBody))]
[JsonSerializable(typeof(DeadLettersBody))]
[JsonSerializable(typeof(ScheduleBody))]
[JsonSerializable(typeof(Envelope<ScheduleData>))]
[JsonSerializable(typeof(Envelope<ScheduleList>))]
[JsonSerializable(typeof(Envelope<QueuePauseData>))]
[JsonSerializable(typeof(JobData))]
[JsonSerializable(typeof(JobStateData))]
[JsonSerializable(typeof(JobDeltaData))]
[JsonSerializable(typeof(JobProgressData))]
[JsonSerializable(typeof(Envelope<JobData>))]
[JsonSerializable(typeof(Envelope<JobList>))]
[JsonSerializable(typeof(Envelope<JobPage>))]
[JsonSerializable(typeof(Envelope<JobCount>))]
[JsonSerializable(typeof(Envelope<JobLimitsData>))]
[JsonSerializable(typeof(Envelope<QueueMetrics>))]
internal sealed partial class JobContext : JsonSerializerContext;
