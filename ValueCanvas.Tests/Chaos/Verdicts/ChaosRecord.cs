using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Tests.Chaos.Verdicts;

/// <summary>What a fault did.</summary>
internal sealed record ChaosRecord
{
    public required string Fault { get; init; }

    /// <summary>From its beginning to its end.</summary>
    public required double Seconds { get; init; }

    public required JobRate Before { get; init; }

    /// <summary>Jobs that succeeded a second while it lasted.</summary>
    public required double During { get; init; }

    /// <summary>Seconds from its end until the rate was there again.</summary>
    public required double Back { get; init; }

    public required JobRate After { get; init; }

    /// <summary>Jobs a second of each time that it was measured afterwards; the last is <see cref="After"/>.</summary>
    public required IReadOnlyList<double> Tries { get; init; }

    /// <summary>Accepted until its end, by which the verdict is.</summary>
    public required int Jobs { get; init; }

    /// <summary>Of them that were taken from a lost worker since it began.</summary>
    public required long Rescued { get; init; }

    public required ChaosVerdict Verdict { get; init; }

    /// <summary>What else is to be said.</summary>
    public string? Note { get; init; }

    /// <summary>As one line at the end of the file that VALUECANVAS_CHAOS_RESULTS names, where it names one.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        var line = JsonSerializer.Serialize(this, ChaosRecordContext.Default.ChaosRecord);
        if (Environment.GetEnvironmentVariable("VALUECANVAS_CHAOS_RESULTS") is { Length: > 0 } path)
            await File.AppendAllTextAsync(path, line + "\n", cancellationToken);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChaosRecord))]
internal sealed partial class ChaosRecordContext : JsonSerializerContext;
