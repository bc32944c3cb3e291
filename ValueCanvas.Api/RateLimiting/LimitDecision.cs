using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>What the policies say of a request. An admitted one is settled once, when it is over.</summary>
internal sealed class LimitDecision(string id, IReadOnlyList<Reading> readings, int binding, bool counted, long epoch)
{
    private readonly TaskCompletionSource<long?> _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Of the request, in the counts.</summary>
    public string Id => id;

    /// <summary>How each policy stands.</summary>
    public IReadOnlyList<Reading> Readings => readings;

    /// <summary>Admitted: all of it is charged. Else nothing is.</summary>
    public bool Allowed => binding < 0;

    /// <summary>The policy that refused, and of several the one to wait for longest.</summary>
    public Reading? Binding => binding < 0 ? null : readings[binding];

    /// <summary>Redis counted it, for all instances; else memory, for this one.</summary>
    public bool Counted => counted;

    /// <summary>In Redis: after a flush it is another.</summary>
    public long Epoch => epoch;

    /// <summary>Memory decided because Redis, which was waited for, was late.</summary>
    public bool IsLate { get; init; }

    /// <summary>Memory decided, and Redis counts it when it comes to it: what it says then is brought into line with this.</summary>
    public bool IsTold { get; init; }

    /// <summary>Memory decided: among so many instances it shared the limits.</summary>
    public int Instances { get; init; }

    /// <summary>
    /// Completes when the request is over, with the tokens that it used; null: it is to be as if it had not been charged.
    /// </summary>
    public Task<long?> Over => _over.Task;

    /// <summary>True for the first who says so.</summary>
    public bool End(long? tokens) => _over.TrySetResult(tokens);

    /// <summary>Whether the counts must be told of the end: what was charged is not what it cost, or something is held.</summary>
    public bool NeedsSettling(long? tokens) => readings.Any(reading => NeedsSettling(reading, tokens));

    public static bool NeedsSettling(Reading reading, long? tokens) => !reading.Denied
        && (tokens is null || reading.Charge.Policy is { Algorithm: LimitAlgorithm.Concurrency } or { Unit: LimitUnit.Tokens });

    /// <summary>The reading to wait for longest among those that refuse; -1 where none does.</summary>
    public static int FindBinding(IReadOnlyList<Reading> readings)
    {
        var binding = -1;
        for (var i = 0; i < readings.Count; i++)
        {
            if (readings[i].Denied && !readings[i].Charge.Policy.Shadow
                && (binding < 0 || (readings[binding].Wait != Reading.Never
                    && (readings[i].Wait == Reading.Never || readings[i].Wait > readings[binding].Wait))))
            {
                binding = i;
            }
        }

        return binding;
    }
}
