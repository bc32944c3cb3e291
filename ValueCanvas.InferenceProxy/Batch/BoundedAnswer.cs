namespace ValueCanvas.InferenceProxy.Batch;

/// <summary>Keeps an answer as long as the batch's budget lasts.</summary>
internal sealed class BoundedAnswer(AnswerBudget budget) : MemoryStream
{
    // A memory stream's other ways to write all lead to this one where it is overridden.
    public override void Write(byte[] buffer, int offset, int count)
    {
        budget.Take(count);
        base.Write(buffer, offset, count);
    }
}

/// <summary>How many bytes the answers of a batch may still have.</summary>
internal sealed class AnswerBudget(long bytes)
{
    private long _left = bytes;

    public void Take(int bytes)
    {
        if (Interlocked.Add(ref _left, -bytes) < 0)
            throw new AnswerTooLargeException();
    }
}

internal sealed class AnswerTooLargeException() : Exception("The answers of a batch are too large together.");
