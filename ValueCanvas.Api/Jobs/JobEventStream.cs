using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>
/// A job as server-sent events: <c>state</c> whenever it changes, <c>delta</c> with each further piece of its text, <c>progress</c> of a
/// batch, <c>reset</c> where an attempt has begun anew and the text so far does not count, and last <c>done</c> with the whole job.
/// </summary>
/// <remarks>
/// The text has one position however it is read, from Redis, a checkpoint or the result, so ids are the same from each, and whoever comes
/// back with the last one gets the rest.
/// </remarks>
internal sealed class JobEventStream(
    JobWithResult first, Guid tenantId, JobTextPosition position, JobWatch watch, TimeProvider time, CancellationToken stopping) : IResult
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StoredInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(15);

    private readonly ArrayBufferWriter<byte> _events = new();
    private JobTextPosition _position = position;
    private (JobState, int, long)? _told;
    private string? _progress;

    public async Task ExecuteAsync(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        try
        {
            _events.Write("retry: 1000\n\n"u8);
            await RunAsync(context, end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The client has gone, or comes back to another instance with the last id.
        }
    }

    private async Task RunAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var job = first;
        var storedAt = time.GetTimestamp();
        var sentAt = storedAt;
        var stored = await watch.StoredTextAsync(tenantId, job, cancellationToken);
        while (true)
        {
            // 1. What there is to tell.
            TellState(job.Job);
            var ended = job.Job.State is JobState.Succeeded or JobState.Failed or JobState.Cancelled;
            var live = ended ? null : await watch.LiveTextAsync(job.Job.Id);
            TellText(live is not null && live.Lease >= stored.Lease ? live : stored);
            TellProgress(stored);
            if (ended)
            {
                var whole = JobData.From(job.Job, job.Result);
                Write("done", _position.ToString(), JsonSerializer.SerializeToUtf8Bytes(whole, JobContext.Default.JobData));
            }

            // 2. Tell it.
            if (time.GetElapsedTime(sentAt) > PingInterval && _events.WrittenCount == 0)
                _events.Write(": still there\n\n"u8);
            if (_events.WrittenCount > 0)
            {
                sentAt = time.GetTimestamp();
                await context.Response.BodyWriter.WriteAsync(_events.WrittenMemory, cancellationToken);
                _events.ResetWrittenCount();
            }

            if (ended)
                return;

            // 3. Look again soon.
            await Task.Delay(live is null ? StoredInterval : LiveInterval, time, cancellationToken);
            if (live is not null && time.GetElapsedTime(storedAt) < StoredInterval)
                continue;
            storedAt = time.GetTimestamp();
            try
            {
                job = await watch.FindAsync(tenantId, job.Job.Id, cancellationToken) ?? job;
                stored = await watch.StoredTextAsync(tenantId, job, cancellationToken);
            }
            catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
            {
                // What has been told stays true; it goes on when the database is back.
            }
        }
    }

    private void TellState(Job job)
    {
        if (_told == (job.State, job.Attempt, job.RunLease))
            return;
        _told = (job.State, job.Attempt, job.RunLease);
        Write("state", null, JsonSerializer.SerializeToUtf8Bytes(
            new JobStateData(job.State.ToName(), job.Attempt, job.ErrorCode), JobContext.Default.JobStateData));
    }

    private void TellText(WatchedText text)
    {
        if (text.Lease == 0)
            return;
        var bytes = text.Bytes.Span;
        // Half a character: nobody was given that position.
        var known = _position.Offset >= bytes.Length || (bytes[_position.Offset] & 0xC0) != 0x80;
        var beyond = text.IsWhole && (_position.Offset > bytes.Length || _position.Lease > text.Lease);
        if (_position.Lease > text.Lease && !text.IsWhole)
            return;
        if (!known || beyond || !JobText.Continues(text.Bases, _position))
        {
            _position = new(text.Lease, 0);
            Write("reset", _position.ToString(), "{}"u8);
        }

        if (_position.Offset > bytes.Length)
            return;
        var offset = _position.Offset;
        _position = new(text.Lease, bytes.Length);
        if (bytes.Length > offset)
        {
            Write("delta", _position.ToString(), JsonSerializer.SerializeToUtf8Bytes(
                new JobDeltaData(Encoding.UTF8.GetString(bytes[offset..])), JobContext.Default.JobDeltaData));
        }
    }

    private void TellProgress(WatchedText stored)
    {
        if (stored.Progress is not { } progress || _progress == $"{progress.Completed}")
            return;
        _progress = $"{progress.Completed}";
        Write("progress", null, JsonSerializer.SerializeToUtf8Bytes(progress, JobContext.Default.JobProgressData));
    }

    private void Write(string name, string? id, ReadOnlySpan<byte> json)
    {
        _events.Write(Encoding.UTF8.GetBytes($"{(id is null ? "" : $"id: {id}\n")}event: {name}\ndata: "));
        _events.Write(json);
        _events.Write("\n\n"u8);
    }
}

internal sealed record JobStateData(string Status, int Attempt, string? ErrorCode);

internal sealed record JobDeltaData(string Text);

internal sealed record JobProgressData(int Completed, int Total);
