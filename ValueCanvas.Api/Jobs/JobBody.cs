using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Api.Jobs;

/// <summary>Body of <c>POST /api/queue/llm</c>; only the type is always needed, and what the type takes.</summary>
internal sealed record JobBody(
    string? Type,
    string? PromptKey,
    Dictionary<string, JsonElement>? PromptVariables,
    int? Priority = null,
    DateTimeOffset? RunAt = null,
    DateTimeOffset? Deadline = null,
    int? MaxAttempts = null,
    string? UniqueKey = null,
    string? OnConflict = null,
    // Left out where there is none, so that a submission of before these were there has the fingerprint that it had.
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? ParentId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<JobBody?>? Children = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? OnChildFailure = null)
{
    /// <summary>Jobs in one submission, children among them.</summary>
    public const int MostJobs = 500;

    private const int MostAttempts = 20;
    private const int LongestKey = 200;
    private static readonly TimeSpan Furthest = TimeSpan.FromDays(366);
    private static readonly string[] Conflicts = ["keep", "reject", "replace"];

    /// <summary>The job; what is wrong with it goes into the errors, its fields' names after <paramref name="prefix"/>.</summary>
    public NewJob ToJob(Caller caller, PromptCatalog prompts, DateTimeOffset now, RequestErrors errors, string prefix = "")
    {
        var promptKey = string.IsNullOrEmpty(PromptKey) ? null : PromptKey;
        foreach (var (field, problem) in JobInput.Validate(Type, promptKey, PromptVariables ?? [], prompts))
            errors.Add(prefix + field, problem);

        if (Priority is < 1 or > 5)
            errors.Add($"{prefix}priority", "must be between 1 (first) and 5 (last)");
        if (RunAt > now + Furthest)
            errors.Add($"{prefix}runAt", $"must be within {Furthest.Days} days");
        if (Deadline is not null && (Deadline <= now || Deadline <= RunAt))
            errors.Add($"{prefix}deadline", "must be in the future and after runAt");
        if (Deadline > (RunAt ?? now) + Furthest)
            errors.Add($"{prefix}deadline", $"must be within {Furthest.Days} days of the start");
        if (MaxAttempts is < 1 or > MostAttempts)
            errors.Add($"{prefix}maxAttempts", $"must be between 1 and {MostAttempts}");
        if (UniqueKey is not null
            && (string.IsNullOrWhiteSpace(UniqueKey) || UniqueKey.Length > LongestKey || UniqueKey.Any(char.IsControl)))
        {
            errors.Add($"{prefix}uniqueKey", $"must have 1 to {LongestKey} characters, none of them a control character");
        }

        if (OnConflict is not null && (UniqueKey is null || !Conflicts.Contains(OnConflict)))
            errors.Add($"{prefix}onConflict", $"must be one of {string.Join(", ", Conflicts)}, and needs a uniqueKey");
        CheckFamily(errors, prefix);

        var args = JsonSerializer.Serialize(PromptVariables ?? [], JobContext.Default.DictionaryStringJsonElement);
        return new NewJob(Type ?? "", promptKey, args)
        {
            Priority = (short)(Priority ?? 3),
            RunAt = RunAt,
            DeadlineAt = Deadline,
            MaxAttempts = MaxAttempts ?? Job.DefaultMaxAttempts,
            UniqueKey = UniqueKey,
            OnConflict = OnConflict switch
            {
                "reject" => JobConflict.Reject,
                "replace" => JobConflict.Replace,
                _ => JobConflict.Keep,
            },
            ParentId = ParentId,
            Children = [.. ChildrenOf(prefix).Select(child => child.Job.ToJob(caller, prompts, now, errors, child.Prefix))],
            OnChildFailure = OnChildFailure ?? ChildFailures.Fail,
            SubmitterId = caller.HolderId,
            SubmitterKeyId = caller.ApiKeyId,
        };
    }

    /// <summary>This job and its children, each with what its fields' names begin with.</summary>
    public IEnumerable<(JobBody Job, string Prefix)> WithChildren(string prefix) => ChildrenOf(prefix).Prepend((this, prefix));

    /// <summary>The jobs of a submission with their children.</summary>
    public static IEnumerable<(JobBody Job, string Prefix)> All(IReadOnlyList<JobBody> bodies, bool isBulk) =>
        bodies.SelectMany((body, index) => body.WithChildren(isBulk ? $"jobs[{index}]." : ""));

    /// <summary>The models that the job will ask, where it has passed the validation.</summary>
    public IEnumerable<string> Models() => Type switch
    {
        JobTypes.Chat when string.IsNullOrEmpty(PromptKey) => [ChatArgs.ModelOf(PromptVariables!)],
        JobTypes.Batch => BatchArgs.RequestsOf(PromptVariables!).Select(ChatArgs.ModelOf).Distinct(),
        _ => [ChatRequest.DefaultModel],
    };

    /// <summary>The canvas that a refinement is about, else null.</summary>
    public Guid? CanvasId() => Type == JobTypes.CanvasRefinement && PromptVariables is { } variables
        && variables.TryGetValue("canvasId", out var id) && id.ValueKind == JsonValueKind.String
        && Guid.TryParse(id.GetString(), out var canvas)
            ? canvas
            : null;

    private IEnumerable<(JobBody Job, string Prefix)> ChildrenOf(string prefix) =>
        (Children ?? []).Index().Where(item => item.Item is not null).Select(item => (item.Item!, $"{prefix}children[{item.Index}]."));

    private void CheckFamily(RequestErrors errors, string prefix)
    {
        if (Children is { Count: 0 or >= MostJobs } || Children?.Contains(null) is true)
            errors.Add($"{prefix}children", $"must be an array of 1 to {MostJobs - 1} jobs");
        if (OnChildFailure is not null && (Children is null || !ChildFailures.All.Contains(OnChildFailure)))
            errors.Add($"{prefix}onChildFailure", $"must be one of {string.Join(", ", ChildFailures.All)}, and needs children");
        if (ParentId is not null && Children is not null)
            errors.Add($"{prefix}parentId", "must not be given together with children: a child has no children");
        if (ParentId is not null && UniqueKey is not null)
            errors.Add($"{prefix}uniqueKey", "must not be given together with parentId");
        foreach (var (child, name) in ChildrenOf(prefix))
        {
            if (child.ParentId is not null || child.Children is not null || child.UniqueKey is not null)
                errors.Add(name.TrimEnd('.'), "must not have parentId, children or uniqueKey: families have two generations");
        }
    }

    /// <summary>422: a job that cannot succeed is not accepted.</summary>
    public static RequestException Unacceptable(RequestErrors errors)
    {
        var byField = errors.ToDictionary();
        var (field, problems) = byField.First();
        return new(StatusCodes.Status422UnprocessableEntity, $"The job cannot be accepted: {field} {problems[0]}.", byField);
    }
}

/// <summary>Body of <c>POST /api/queue/llm/bulk</c>: all of the jobs are accepted, or none.</summary>
internal sealed record JobsBody(IReadOnlyList<JobBody?>? Jobs) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        if (Jobs is not { Count: >= 1 } || Jobs.Sum(job => 1 + (job?.Children?.Count ?? 0)) > JobBody.MostJobs)
            errors.Add("jobs", $"must be an array of 1 to {JobBody.MostJobs} jobs, their children among them");
        foreach (var (index, job) in (Jobs ?? []).Index())
        {
            if (job is null)
                errors.Add($"jobs[{index}]", "must be an object");
        }
    }
}
