using System.Text.Json.Serialization;

namespace ValueCanvas.InferenceProxy.Operations;

[JsonConverter(typeof(JsonStringEnumConverter<OperatorVerb>))]
internal enum OperatorVerb
{
    Open,
    Close,
    Reset,
    Drain,
    Undrain,
}

/// <summary>
/// What an operator has said about a replica, or about one model there (<see cref="Model"/> is null for all, also for those that it will
/// serve one day). Of two words about the same subject the one with the higher <see cref="Sequence"/> counts, whichever comes first: it is
/// higher than that of any action that was known where it was taken, and grows with time. <see cref="Until"/> is the end of an
/// <see cref="OperatorVerb.Open"/>; null: until it is closed.
/// </summary>
internal sealed record OperatorAction(
    long Sequence, string Replica, string? Model, OperatorVerb Verb, DateTimeOffset At, DateTimeOffset? Until)
{
    // So long a proxy may have been cut off and still learn that what it holds was ended.
    private static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>A later action about the same takes its place.</summary>
    [JsonIgnore]
    public string Subject => IsDrain ? $"place\n{Replica}" : $"breaker\n{Replica}\n{Model}";

    [JsonIgnore]
    public bool IsDrain => Verb is OperatorVerb.Drain or OperatorVerb.Undrain;

    /// <summary>Nobody can need to hear of it any more.</summary>
    public bool IsForgotten(DateTimeOffset now) => Verb switch
    {
        OperatorVerb.Drain => false,
        OperatorVerb.Open => Until + Kept < now,
        _ => At + Kept < now,
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(OperatorAction))]
[JsonSerializable(typeof(OperatorAnswer))]
internal sealed partial class OperatorJsonContext : JsonSerializerContext;
