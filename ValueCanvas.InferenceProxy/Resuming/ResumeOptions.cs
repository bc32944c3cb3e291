namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>Section <c>Inference:Resume</c>: streams that break and go on at another replica.</summary>
internal sealed class ResumeOptions
{
    public bool Enabled { get; set; } = true;

    /// <summary>What is kept of a stream at most: its token ids and its text. One that outgrows it is not resumed.</summary>
    public int MaxBytes { get; set; } = 1024 * 1024;

    public void Validate(List<string> wrong)
    {
        if (MaxBytes is < 1024 or > 64 * 1024 * 1024)
            wrong.Add("Inference:Resume:MaxBytes must be from 1024 (1 KiB) to 67108864 (64 MiB).");
    }
}
