using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Chat;

/// <summary>
/// Asks many questions, a few at a time. What has been answered is kept, so that another attempt asks only for the rest. A question that
/// cannot succeed fails by itself; one that may succeed later holds the job back until the attempts are used up.
/// </summary>
internal sealed class BatchJobHandler(InferenceClient inference, JobCheckpoints checkpoints, PromptCatalog prompts, TimeProvider time)
    : IJobHandler
{
    private const int Concurrency = 4;
    private static readonly TimeSpan CheckpointInterval = TimeSpan.FromSeconds(1);

    public string Type => JobTypes.Batch;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        if (JobArgs.Read(job, prompts) is not { } variables)
            return JobArgs.Invalid(job);
        var requests = BatchArgs.RequestsOf(variables);

        // 1. What earlier attempts have got.
        var items = new ConcurrentDictionary<int, BatchItem>();
        if (await checkpoints.FindAsync(job.TenantId, job.Id, cancellationToken) is { } checkpoint)
        {
            foreach (var item in Parse(checkpoint.Data).Where(item => item.Index >= 0 && item.Index < requests.Count))
                items[item.Index] = item;
        }

        // 2. The rest, a few at a time.
        JobOutcome? setback = null;
        using var saving = new SemaphoreSlim(1);
        var savedAt = time.GetTimestamp();
        try
        {
            await Parallel.ForEachAsync(
                Enumerable.Range(0, requests.Count).Where(index => !items.ContainsKey(index)),
                new ParallelOptions { MaxDegreeOfParallelism = Concurrency, CancellationToken = cancellationToken },
                async (index, ct) =>
                {
                    try
                    {
                        var call = JobCalls.Of(job) with { JobQuestion = index };
                        var completion = await inference.ChatAsync(ChatArgs.ToRequest(requests[index], call), ct);
                        items[index] = new(index, ChatJobResult.From(completion), null);
                    }
                    catch (InferenceException failure)
                    {
                        var outcome = RetryPolicy.Classify(failure);
                        if (outcome is JobOutcome.Rejected rejected)
                            items[index] = new(index, null, rejected.Error);
                        else if (job.Attempt >= job.MaxAttempts && outcome is JobOutcome.Faulted fault)
                            items[index] = new(index, null, fault.Error);
                        else
                            setback = outcome;
                    }

                    await SaveAsync(ct);
                });
        }
        finally
        {
            await StoreAsync();
        }

        return setback ?? new JobOutcome.Succeeded(JsonSerializer.Serialize(
            BatchResult.Of([.. items.Values.OrderBy(item => item.Index)]), BatchContext.Default.BatchResult));

        async Task SaveAsync(CancellationToken ct)
        {
            if (time.GetElapsedTime(savedAt) < CheckpointInterval || !await saving.WaitAsync(0, ct))
                return;
            try
            {
                savedAt = time.GetTimestamp();
                await StoreAsync();
            }
            finally
            {
                saving.Release();
            }
        }

        Task StoreAsync() => checkpoints.SaveAsync(
            job,
            JsonSerializer.Serialize(new BatchProgress(requests.Count, [.. items.Values]), BatchContext.Default.BatchProgress),
            CancellationToken.None);
    }

    private static List<BatchItem> Parse(string checkpoint)
    {
        try
        {
            return JsonSerializer.Deserialize(checkpoint, BatchContext.Default.BatchProgress)?.Items?.OfType<BatchItem>().ToList() ?? [];
        }
        catch (JsonException)
        {
            return [];
        }
    }
}

/// <summary>One question's answer, or why there is none.</summary>
internal sealed record BatchItem(
    int Index,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ChatJobResult? Answer,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JobError? Error);

internal sealed record BatchProgress(int Total, IReadOnlyList<BatchItem> Items);

internal sealed record BatchResult(int Succeeded, int Failed, IReadOnlyList<BatchItem> Items)
{
    public static BatchResult Of(IReadOnlyList<BatchItem> items) =>
        new(items.Count(item => item.Error is null), items.Count(item => item.Error is not null), items);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(BatchProgress))]
[JsonSerializable(typeof(BatchResult))]
internal sealed partial class BatchContext : JsonSerializerContext;
