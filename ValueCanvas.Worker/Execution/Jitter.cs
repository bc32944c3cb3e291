namespace ValueCanvas.Worker.Execution;

internal static class Jitter
{
    /// <summary>±20 %, so that processes that started together do not act together.</summary>
    public static TimeSpan Spread(TimeSpan interval) => interval * (0.8 + (0.4 * Random.Shared.NextDouble()));
}
