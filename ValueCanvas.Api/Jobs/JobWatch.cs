using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>Where the text of a job can be read: in Redis while it comes, in its checkpoint, in its result.</summary>
internal sealed class JobWatch(JobStore jobs, JobCheckpoints checkpoints, LiveText live)
{
    public Task<JobWithResult?> FindAsync(Guid tenantId, Guid id, CancellationToken cancellationToken) =>
        jobs.FindAsync(tenantId, id, cancellationToken);

    public async Task<WatchedText?> LiveTextAsync(Guid id) =>
        await live.ReadAsync(id) is { } text ? new(text.End.Lease, text.Bases, text.Text, IsWhole: false, null) : null;

    public async Task<WatchedText> StoredTextAsync(Guid tenantId, JobWithResult job, CancellationToken cancellationToken)
    {
        if (job.Job.Type is not (JobTypes.Chat or JobTypes.Batch) || job.Job.RunLease == 0)
            return WatchedText.None;
        var checkpoint = await checkpoints.FindAsync(tenantId, job.Job.Id, cancellationToken);
        if (job.Job.Type == JobTypes.Batch)
            return WatchedText.None with { Progress = checkpoint is null ? null : ProgressOf(checkpoint.Data) };

        var text = checkpoint is null ? null : JobText.Parse(checkpoint.Data);
        if (job.Result is { } result)
            return new(job.Job.RunLease, text?.Bases ?? [], Encoding.UTF8.GetBytes(ResponseOf(result)), IsWhole: true, null);
        return text is null
            ? WatchedText.None
            : new(checkpoint!.RunLease, text.Bases, Encoding.UTF8.GetBytes(text.Text), IsWhole: false, null);
    }

    private static string ResponseOf(string result)
    {
        using var document = JsonDocument.Parse(result);
        return document.RootElement.GetProperty("response").GetString() ?? "";
    }

    private static JobProgressData? ProgressOf(string checkpoint)
    {
        using var document = JsonDocument.Parse(checkpoint);
        return document.RootElement.TryGetProperty("items", out var items) && document.RootElement.TryGetProperty("total", out var total)
            ? new(items.GetArrayLength(), total.GetInt32())
            : null;
    }
}

/// <param name="Lease">The attempt that made it; 0: there is none.</param>
/// <param name="Bases">What each attempt took over from the one before.</param>
/// <param name="Bytes">The text in UTF-8.</param>
/// <param name="IsWhole">Nothing more comes.</param>
/// <param name="Progress">Of a batch.</param>
internal sealed record WatchedText(
    long Lease, IReadOnlyList<JobTextBase> Bases, ReadOnlyMemory<byte> Bytes, bool IsWhole, JobProgressData? Progress)
{
    public static readonly WatchedText None = new(0, [], default, IsWhole: false, null);
}
