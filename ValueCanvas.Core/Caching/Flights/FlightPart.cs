using ValueCanvas.Core.Caching.Levels;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// One step of an answer under way. Each knows the next, so that readers follow at their own pace without a lock, and what all have read
/// and nobody can ask for any more is gone by itself.
/// </summary>
internal sealed class FlightPart
{
    private readonly TaskCompletionSource<FlightPart> _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Status and headers; always before any bytes.</summary>
    public FlightHead? Head { get; init; }

    public ReadOnlyMemory<byte> Bytes { get; init; }

    /// <summary>Nothing comes behind it: the answer has ended, well or, with <see cref="Failure"/>, not.</summary>
    public bool IsEnd { get; init; }

    public Exception? Failure { get; init; }

    /// <summary>In the place of a head: another instance had kept the answer.</summary>
    public CachedAnswer? Stored { get; init; }

    public Task<FlightPart> Next => _next.Task;

    public void Append(FlightPart part) => _next.SetResult(part);
}
