using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// Successes that change nothing beside their job, committed together: while one transaction is on its way, those that come meanwhile wait
/// for the next one. Each has its own fence; one that lost its lease takes none of the others with it.
/// </summary>
internal sealed class JobCompletions(IServiceScopeFactory scopes)
{
    private const int MostAtOnce = 256;

    private readonly Lock _gate = new();
    private readonly LinkedList<Completion> _waiting = new();
    private bool _running;

    /// <returns>False where the job is no longer this worker's.</returns>
    public Task<bool> CompleteAsync(Job job, string result)
    {
        var completion = new Completion(job, result);
        lock (_gate)
        {
            _waiting.AddLast(completion);
            if (_running)
                return completion.Done;
            _running = true;
        }

        // In nobody's trace: it goes on for others.
        using (ExecutionContext.SuppressFlow())
            _ = Task.Run(RunAsync);
        return completion.Done;
    }

    private async Task RunAsync()
    {
        while (Take() is { Count: > 0 } batch)
            await CommitAsync(batch);
    }

    private Dictionary<Guid, Completion> Take()
    {
        var batch = new Dictionary<Guid, Completion>();
        lock (_gate)
        {
            for (var node = _waiting.First; node is not null && batch.Count < MostAtOnce;)
            {
                var next = node.Next;
                // One at a time of each job, so that each learns what became of its own.
                if (batch.TryAdd(node.Value.Job.Id, node.Value))
                    _waiting.Remove(node);
                node = next;
            }

            _running = batch.Count > 0;
        }

        return batch;
    }

    private async Task CommitAsync(Dictionary<Guid, Completion> batch)
    {
        try
        {
            var held = await StoreAsync(batch.Values);
            foreach (var (id, completion) in batch)
                completion.Set(held.Contains(id));
        }
        catch (Exception exception) when (batch.Count > 1 && !DatabaseErrors.IsUnavailable(exception))
        {
            // One that the database refuses must not keep the others from counting.
            foreach (var (id, completion) in batch)
                await CommitAsync(new Dictionary<Guid, Completion> { [id] = completion });
        }
        catch (Exception exception)
        {
            foreach (var completion in batch.Values)
                completion.Fail(exception);
        }
    }

    private async Task<HashSet<Guid>> StoreAsync(IReadOnlyCollection<Completion> batch)
    {
        var ids = batch.Select(completion => completion.Job.Id).ToArray();
        var leases = batch.Select(completion => completion.Job.RunLease).ToArray();
        var results = batch.Select(completion => completion.Result).ToArray();
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>();
        var attempts = 0;
        return await db.Database.CreateExecutionStrategy().ExecuteAsync(async () =>
        {
            var rows = await db.Database
                .SqlQuery<CompletedRow>($"""SELECT id AS "Id", earlier AS "Earlier" FROM complete_llm_jobs({ids}, {leases}, {results})""")
                .ToListAsync(CancellationToken.None);
            // What had succeeded before counts only where this is the same again: its answer got lost, the transaction did not.
            var again = attempts++ > 0;
            return rows.Where(row => again || !row.Earlier).Select(row => row.Id).ToHashSet();
        });
    }

    private sealed record CompletedRow(Guid Id, bool Earlier);

    private sealed class Completion(Job job, string result)
    {
        private readonly TaskCompletionSource<bool> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Job Job => job;

        public string Result => result;

        public Task<bool> Done => _done.Task;

        public void Set(bool held) => _done.SetResult(held);

        public void Fail(Exception exception) => _done.SetException(exception);
    }
}
