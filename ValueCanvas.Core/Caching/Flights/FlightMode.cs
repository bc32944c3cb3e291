using ValueCanvas.Core.Caching.Keys;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>How a model is asked and answers. Only who asks alike can read along; others wait for the whole answer.</summary>
internal readonly record struct FlightMode(bool IsStream, bool WantsUsage)
{
    public static FlightMode Of(RequestPeek peek) => new(peek.IsStream, peek.IsStream && peek.WantsUsage);
}
