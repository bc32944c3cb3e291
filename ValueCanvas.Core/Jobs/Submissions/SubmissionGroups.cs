using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs.Submissions;

/// <summary>
/// Submissions that come at the same time, committed together: while transactions are on their way, those that come meanwhile wait for the
/// next one, and who comes alone waits for nobody. Each gets its own outcome, and one that the database refuses takes no other with it.
/// </summary>
internal sealed class SubmissionGroups(SubmissionTable table, JobSignal signal)
{
    private const int MostTransactions = 2;
    private const int MostJobs = 256;
    private const int MostCharacters = 4_000_000;
    private const int MostWaiting = 10_000;

    private readonly Lock _gate = new();
    private readonly Queue<PendingSubmission> _waiting = new();
    private int _running;

    /// <exception cref="Exception">See <see cref="DatabaseErrors.IsUnavailable"/>; it may be stored all the same.</exception>
    public async Task<StoredSubmission> SubmitAsync(PendingSubmission submission, CancellationToken cancellationToken)
    {
        if (!submission.IsForItself)
        {
            Enqueue(submission);
            if (await submission.Done.WaitAsync(cancellationToken) is { Outcome: not StoredSubmission.Busy } stored)
                return stored;
        }

        // Locks are waited for, and an error is the submission's own.
        while (true)
        {
            if (await table.StoreAsync([submission], waits: true, cancellationToken) is [{ Outcome: not StoredSubmission.Busy } stored])
            {
                if (IsNew(stored))
                    await signal.PublishAsync();
                return stored;
            }
        }
    }

    private void Enqueue(PendingSubmission submission)
    {
        lock (_gate)
        {
            if (_waiting.Count == MostWaiting)
                throw new NpgsqlException("Too many submissions wait for the database.");
            _waiting.Enqueue(submission);
            if (_running == MostTransactions)
                return;
            _running++;
        }

        // In nobody's trace: it goes on for others.
        using (ExecutionContext.SuppressFlow())
            _ = Task.Run(RunAsync);
    }

    private async Task RunAsync()
    {
        while (Take() is { Count: > 0 } group)
            await CommitAsync(group);
    }

    private List<PendingSubmission> Take()
    {
        var group = new List<PendingSubmission>();
        var (jobs, characters) = (0, 0L);
        lock (_gate)
        {
            while (_waiting.TryPeek(out var next))
            {
                if (next.IsGivenUp)
                {
                    _waiting.Dequeue();
                    continue;
                }

                jobs += next.Jobs.Count;
                characters += next.Characters;
                if (group.Count > 0 && (jobs > MostJobs || characters > MostCharacters))
                    break;
                group.Add(_waiting.Dequeue());
            }

            if (group.Count == 0)
                _running--;
        }

        return group;
    }

    private async Task CommitAsync(List<PendingSubmission> group)
    {
        try
        {
            var stored = await table.StoreAsync(group, waits: false, CancellationToken.None);
            // Workers are told before the callers are, and neither waits until they have heard.
            if (stored.Any(IsNew))
                _ = signal.PublishAsync();
            for (var i = 0; i < group.Count; i++)
                group[i].Set(stored[i]);
        }
        catch (Exception exception) when (group.Count > 1 && !DatabaseErrors.IsUnavailable(exception))
        {
            // One that the database refuses: each tries by itself.
            group.ForEach(submission => submission.Set(null));
        }
        catch (Exception exception)
        {
            group.ForEach(submission => submission.Fail(exception));
        }
    }

    private static bool IsNew(StoredSubmission stored) => stored.Outcome is StoredSubmission.Accepted or StoredSubmission.Stored;
}
