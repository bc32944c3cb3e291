using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// What a job made cannot be committed any more, because what it began from has changed; another attempt begins from what is there.
/// </summary>
internal sealed class EffectRefusedException(JobError error) : Exception(error.Message)
{
    public JobError Error => error;
}
