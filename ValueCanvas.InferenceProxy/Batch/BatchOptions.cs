namespace ValueCanvas.InferenceProxy.Batch;

/// <summary>Configuration section <c>Inference:Batch</c>. Read again when configuration reloads.</summary>
internal sealed class BatchOptions
{
    /// <summary>Requests in one batch.</summary>
    public int MaxRequests { get; set; } = 1000;

    /// <summary>Requests of one batch that are under way at the same time; what <c>max_concurrency</c> may be at most.</summary>
    public int MaxConcurrency { get; set; } = 64;

    /// <summary>All answers of a batch together.</summary>
    public int MaxAnswerBytes { get; set; } = 64 * 1024 * 1024;

    public void Validate(List<string> wrong)
    {
        if (MaxRequests is < 1 or > 100_000)
            wrong.Add("Inference:Batch:MaxRequests must be from 1 to 100000.");

        if (MaxConcurrency is < 1 or > 10_000)
            wrong.Add("Inference:Batch:MaxConcurrency must be from 1 to 10000.");

        if (MaxAnswerBytes is < 1024 or > 1024 * 1024 * 1024)
            wrong.Add("Inference:Batch:MaxAnswerBytes must be from 1024 (1 KiB) to 1073741824 (1 GiB).");
    }
}
