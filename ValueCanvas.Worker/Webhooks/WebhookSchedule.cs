using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Worker.Webhooks;

internal static class WebhookSchedule
{
    private const double Factor = 3;

    /// <summary>
    /// After the n-th attempt: 5 s, 15 s, 45 s, … up to 4 h, ±20 %, so that what failed together does not come back together; longer
    /// where the endpoint asks for it. Fourteen attempts take a day.
    /// </summary>
    public static TimeSpan DelayAfter(int attempt, TimeSpan? retryAfter, WebhookOptions options, Random random)
    {
        var seconds = Math.Min(
            options.RetryDelay.TotalSeconds * Math.Pow(Factor, Math.Min(attempt, 30) - 1), options.MaxRetryDelay.TotalSeconds);
        var delay = TimeSpan.FromSeconds(seconds * (0.8 + (0.4 * random.NextDouble())));
        if (retryAfter is not { } asked || asked <= delay)
            return delay;
        return asked < options.MaxRetryDelay ? asked : options.MaxRetryDelay;
    }
}
