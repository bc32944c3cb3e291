using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Jobs.Schedules;

namespace ValueCanvas.Api.Jobs;

/// <summary>Body of <c>POST /api/queue/schedules</c> and <c>PUT /api/queue/schedules/{id}</c>: when, and what to submit.</summary>
internal sealed record ScheduleBody(string? Name, string? Cron, string? TimeZone, bool? Enabled, JobBody? Job) : IRequestBody
{
    private const int LongestName = 100;

    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrWhiteSpace(Name) || Name.Length > LongestName || Name.Any(char.IsControl))
            errors.Add("name", $"is required, with at most {LongestName} characters");
        if (Cron is null || !CronExpression.TryParse(Cron, out _))
            errors.Add("cron", "must have five fields: minute, hour, day of the month, month, day of the week, such as 30 6 * * MON-FRI");
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(Zone, out _))
            errors.Add("timeZone", "must be an IANA time zone, such as Europe/Lisbon");
        if (Job is null)
            errors.Add("job", "is required: what to submit");
        else if (Job.RunAt is not null || Job.Deadline is not null || Job.UniqueKey is not null)
            errors.Add("job", "must not have runAt, deadline or uniqueKey: the schedule gives them");
        else if (Job.ParentId is not null || Job.Children is not null)
            errors.Add("job", "must not have parentId or children: a schedule submits single jobs");
    }

    public string Zone => TimeZone ?? "UTC";

    /// <summary>The next time, of a body that is valid.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset now) =>
        CronExpression.TryParse(Cron!, out var cron) ? cron.Next(now, TimeZoneInfo.FindSystemTimeZoneById(Zone)) : null;
}

/// <summary>A schedule; <c>nextAt</c> is null where its pattern has no further time.</summary>
internal sealed record ScheduleData(
    Guid Id,
    string Name,
    string Cron,
    string TimeZone,
    bool Enabled,
    string Type,
    string? PromptKey,
    DateTimeOffset? NextAt,
    DateTimeOffset? LastAt,
    DateTimeOffset CreatedAt)
{
    public static ScheduleData From(JobSchedule schedule) => new(
        schedule.Id, schedule.Name, schedule.Cron, schedule.TimeZone, schedule.Enabled, schedule.Type, schedule.PromptKey, schedule.NextAt,
        schedule.LastAt, schedule.CreatedAt);
}

internal sealed record ScheduleList(IReadOnlyList<ScheduleData> Items);
