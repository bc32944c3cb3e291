using System.Diagnostics;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Takes one claimed job through its attempt: trace, perform, record, report. Never throws.</summary>
internal sealed partial class JobExecutor(
    IEnumerable<IJobHandler> handlers,
    JobLeases leases,
    JobSignal signal,
    WorkerMetrics metrics,
    TimeProvider time,
    ILogger<JobExecutor> logger)
{
    // A finished generation is worth waiting out a restart of the database; the fence makes it safe however long it takes.
    private static readonly TimeSpan RecordBound = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RecordPause = TimeSpan.FromSeconds(1);

    // Until a job that must run apart is looked at again.
    private static readonly TimeSpan ApartPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestApartPause = TimeSpan.FromSeconds(30);
    private static readonly JobError Apart = new(
        "worker_lost", "The workers that ran this job stopped answering; it waits to run apart from others of which that is true.");

    private readonly Dictionary<string, IJobHandler> _handlers = handlers.ToDictionary(handler => handler.Type);

    public async Task ExecuteAsync(RunningJob running)
    {
        var job = running.Job;
        var type = _handlers.ContainsKey(job.Type) ? job.Type : "unknown";
        var startedAt = time.GetTimestamp();
        metrics.Started(type, job.StartedAt - job.RunAt ?? TimeSpan.Zero);

        // 1. One trace from the request to the model server.
        using var activity = StartProcess(job);

        // 2. The work, ended early by a lost lease, the end of this worker, or the attempt's deadline.
        var outcome = await PerformAsync(running);

        // 3. The record, which counts only while the lease is ours. It may be what a parent has waited for.
        var recorded = await RecordAsync(job, outcome);
        if (job.ParentId is not null && JobStates.TryParse(recorded, out var state) && state.IsFinal())
            await signal.PublishAsync();

        // 4. The report.
        metrics.Ended(type, recorded, time.GetElapsedTime(startedAt));
        activity?.SetTag("valuecanvas.job.outcome", recorded);
        if (recorded is "failed" or "retryable" or "stale" or "unrecorded")
            activity?.SetStatus(ActivityStatusCode.Error, recorded);
        Log.Ended(logger, job.Id, job.Type, job.Attempt, recorded);
    }

    /// <summary>Hands back a job that was not begun, with its attempt uncounted.</summary>
    public Task PutOffAsync(Job job)
    {
        var pause = ApartPause * Math.Pow(2, Math.Min(job.Snoozes, 5));
        return RecordAsync(job, new JobOutcome.Snoozed(Apart, pause < LongestApartPause ? pause : LongestApartPause));
    }

    private static Activity? StartProcess(Job job)
    {
        _ = ActivityContext.TryParse(job.TraceParent, job.TraceState, isRemote: true, out var parent);
        return JobTracing.Source.StartActivity($"process {JobTracing.Destination}", ActivityKind.Consumer, parent)
            ?.SetTag("messaging.system", "valuecanvas")
            .SetTag("messaging.operation.name", "process")
            .SetTag("messaging.destination.name", JobTracing.Destination)
            .SetTag("messaging.message.id", job.Id.ToString())
            .SetTag("valuecanvas.job.type", job.Type)
            .SetTag("valuecanvas.job.attempt", job.Attempt);
    }

    private async Task<JobOutcome> PerformAsync(RunningJob running)
    {
        if (!_handlers.TryGetValue(running.Job.Type, out var handler))
            return new JobOutcome.Rejected(new JobError("unknown_type", "This worker knows no such type of job."));

        try
        {
            var outcome = await handler.RunAsync(running.Job, running.Token);
            return running.HasLostLease ? new JobOutcome.LeaseLost() : outcome;
        }
        catch (Exception) when (running.HasLostLease)
        {
            return new JobOutcome.LeaseLost();
        }
        catch (Exception) when (running.IsInterrupted)
        {
            return new JobOutcome.Interrupted();
        }
        catch (Exception) when (running.IsOverdue && running.EndsAtDeadline)
        {
            return new JobOutcome.Rejected(new JobError("deadline_exceeded", "The job had not succeeded by its deadline."));
        }
        catch (Exception) when (running.IsOverdue)
        {
            return new JobOutcome.Faulted(new JobError("timeout", "The attempt took too long."));
        }
        catch (Exception exception)
        {
            var outcome = RetryPolicy.Classify(exception);
            Log.AttemptFailed(logger, exception, running.Job.Id, running.Job.Type, running.Job.Attempt);
            return outcome;
        }
    }

    /// <returns>What the job became: a state's name, <c>released</c>, <c>stale</c> (another worker has it) or <c>unrecorded</c>.</returns>
    private async Task<string> RecordAsync(Job job, JobOutcome outcome)
    {
        var startedAt = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await RecordOnceAsync(job, outcome);
            }
            catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception) && time.GetElapsedTime(startedAt) < RecordBound)
            {
                Log.RecordDelayed(logger, job.Id, exception.GetBaseException().Message);
                await Task.Delay(RecordPause, time, CancellationToken.None);
            }
            catch (EffectRefusedException refused)
            {
                outcome = new JobOutcome.Faulted(refused.Error);
            }
            catch (Exception exception) when (!DatabaseErrors.IsUnavailable(exception) && outcome is JobOutcome.Succeeded)
            {
                // The database refuses what the handler made.
                Log.RecordFailed(logger, exception, job.Id);
                outcome = new JobOutcome.Faulted(new JobError("internal", "The result could not be stored."));
            }
            catch (Exception exception)
            {
                // The lease runs out, and the job is rescued.
                Log.RecordFailed(logger, exception, job.Id);
                return "unrecorded";
            }
        }
    }

    private async Task<string> RecordOnceAsync(Job job, JobOutcome outcome)
    {
        switch (outcome)
        {
            case JobOutcome.Succeeded success:
                return Name(await leases.CompleteAsync(job, success.Result, success.Changes, CancellationToken.None), JobState.Succeeded);
            case JobOutcome.Faulted fault when job.Attempt < job.MaxAttempts:
                var delay = RetryPolicy.DelayAfter(job.Attempt, fault.RetryAfter, Random.Shared);
                return Name(await leases.RetryAsync(job, fault.Error, delay, CancellationToken.None), JobState.Retryable);
            case JobOutcome.Faulted fault:
                return Name(await leases.FailAsync(job, fault.Error, CancellationToken.None), JobState.Failed);
            case JobOutcome.Snoozed snooze:
                var pause = RetryPolicy.DelayOfSnooze(job.Snoozes, snooze.RetryAfter, Random.Shared);
                return await leases.SnoozeAsync(job, snooze.Error, pause, CancellationToken.None) ? "snoozed" : "stale";
            case JobOutcome.Rejected rejection:
                return Name(await leases.FailAsync(job, rejection.Error, CancellationToken.None), JobState.Failed);
            case JobOutcome.Interrupted when await leases.ReleaseAsync(job, CancellationToken.None):
                await signal.PublishAsync();
                return "released";
            default:
                return "stale";
        }
    }

    private static string Name(bool held, JobState state) => held ? state.ToName() : "stale";

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Job {JobId} ({Type}), attempt {Attempt}: {Outcome}")]
        public static partial void Ended(ILogger logger, Guid jobId, string type, int attempt, string outcome);

        [LoggerMessage(LogLevel.Warning, "Job {JobId} ({Type}) failed in attempt {Attempt}")]
        public static partial void AttemptFailed(ILogger logger, Exception exception, Guid jobId, string type, int attempt);

        [LoggerMessage(LogLevel.Warning, "The outcome of job {JobId} cannot be recorded yet: {Reason}")]
        public static partial void RecordDelayed(ILogger logger, Guid jobId, string reason);

        [LoggerMessage(LogLevel.Error, "The outcome of job {JobId} could not be recorded")]
        public static partial void RecordFailed(ILogger logger, Exception exception, Guid jobId);
    }
}
