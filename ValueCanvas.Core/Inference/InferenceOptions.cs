namespace ValueCanvas.Core.Inference;

/// <summary>Bounds on calls to the inference proxy; configuration section <c>Inference:Client</c>.</summary>
/// <remarks>
/// They are a safety net around the proxy's own, tighter bounds (30 s to the first event, 60 s between events, 600 s for all), which know
/// the model and can still change to another server; hence the defaults lie above them.
/// </remarks>
public sealed class InferenceOptions
{
    public const string Section = "Inference:Client";

    /// <summary>To a TCP connection to the proxy.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>To the response headers, which of a call that is not streamed come when the whole answer is there.</summary>
    public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(630);

    /// <summary>To the first event of a stream, time in the proxy's queue included.</summary>
    public TimeSpan FirstEventTimeout { get; set; } = TimeSpan.FromSeconds(120);

    /// <summary>Between two reads of an answer that has begun.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>Of the health check's question to the proxy.</summary>
    public TimeSpan HealthTimeout { get; set; } = TimeSpan.FromMilliseconds(900);

    internal IEnumerable<string> Problems()
    {
        (string Name, TimeSpan Value)[] bounds =
        [
            (nameof(ConnectTimeout), ConnectTimeout), (nameof(ResponseTimeout), ResponseTimeout),
            (nameof(FirstEventTimeout), FirstEventTimeout), (nameof(IdleTimeout), IdleTimeout), (nameof(HealthTimeout), HealthTimeout),
        ];
        return bounds
            .Where(bound => bound.Value <= TimeSpan.Zero || bound.Value > TimeSpan.FromHours(1))
            .Select(bound => $"{Section}:{bound.Name} is {bound.Value}; give a time above zero and at most an hour, such as 00:00:30.");
    }
}
