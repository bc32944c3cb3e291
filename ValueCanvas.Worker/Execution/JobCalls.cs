using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

internal static class JobCalls
{
    /// <summary>On whose behalf a job asks models: of whoever submitted it.</summary>
    public static InferenceCall Of(Job job) => new(job.TenantId)
    {
        UserId = job.SubmitterKeyId is null ? job.SubmitterId : null,
        ApiKeyId = job.SubmitterKeyId,
        JobId = job.Id,
        Route = $"worker/{job.Type}",
    };
}
