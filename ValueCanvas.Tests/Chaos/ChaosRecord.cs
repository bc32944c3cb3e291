using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Tests.Chaos;

/// <summary>What a fault did to the rate of jobs.</summary>
/// <param name="Fault">Which.</param>
/// <param name="Seconds">From its beginning to its end.</param>
/// <param name="Before">Jobs that succeeded a second before it.</param>
/// <param name="During">The same while it lasted.</param>
/// <param name="After">The same once the rate was there again.</param>
/// <param name="Back">Seconds from the end of the fault until it was.</param>
/// <param name="Jobs">Accepted since the first fault; none of them is lost.</param>
/// <param name="Rescued">Of them were taken from a lost worker while this fault lasted.</param>
internal sealed record ChaosRecord(
    string Fault, double Seconds, double Before, double During, double After, double Back, int Jobs, long Rescued)
{
    private static readonly ConcurrentQueue<ChaosRecord> All = new();

    /// <summary>Into the file that VALUECANVAS_CHAOS_RESULTS names, and a table beside it; whole again with each.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        All.Enqueue(this);
        if (Environment.GetEnvironmentVariable("VALUECANVAS_CHAOS_RESULTS") is not { Length: > 0 } path)
            return;
        var results = new ChaosResults(TimeProvider.System.GetUtcNow(), Environment.ProcessorCount, [.. All]);
        await File.WriteAllTextAsync(
            path, JsonSerializer.Serialize(results, ChaosRecordContext.Default.ChaosResults) + "\n", cancellationToken);
        await File.WriteAllTextAsync(Path.ChangeExtension(path, ".md"), Table(results.Faults), cancellationToken);
    }

    private static string Table(IReadOnlyList<ChaosRecord> faults)
    {
        var table = new StringBuilder(
            "| fault | s | jobs/s before | during | after | after ÷ before | back after | rescued |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var f in faults)
        {
            table.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {f.Fault} | {f.Seconds:0} | {f.Before:0.0} | {f.During:0.0} | {f.After:0.0} | {f.After / f.Before:0.00} | "
                + $"{f.Back:0.0} s | {f.Rescued} |");
        }

        return table.ToString();
    }
}

/// <param name="At">When the last of them was measured.</param>
/// <param name="Cores">Of the machine.</param>
/// <param name="Faults">In the order in which they were made.</param>
internal sealed record ChaosResults(DateTimeOffset At, int Cores, IReadOnlyList<ChaosRecord> Faults);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ChaosResults))]
internal sealed partial class ChaosRecordContext : JsonSerializerContext;
