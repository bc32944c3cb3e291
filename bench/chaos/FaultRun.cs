using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ChaosBench;

/// <summary>One fault, made by the tests in a process of their own.</summary>
internal static class FaultRun
{
    private const int LinesOfFailure = 40;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    /// <returns>What the test wrote of it, whether it passed, and if not, what it said.</returns>
    public static async Task<JsonObject> MakeAsync(ChaosSettings settings, string fault, CancellationToken cancellationToken)
    {
        var record = Path.Combine(settings.Common.WorkDirectory, $"chaos-{fault}.jsonl");
        File.Delete(record);
        var (at, load) = (TimeProvider.System.GetUtcNow(), Machine.Load());
        var (passed, said) = await RunAsync(settings, ChaosSettings.Trait(fault), record, cancellationToken);
        var written = File.Exists(record) ? (await File.ReadAllLinesAsync(record, cancellationToken)).LastOrDefault() : null;
        var row = written is null ? [] : JsonNode.Parse(written)!.AsObject();
        row["key"] = fault;
        row["at"] = at.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'");
        row["load_before"] = load;
        // No figures, no test: a filter that fits nothing is no success.
        row["passed"] = passed && written is not null;
        if (!passed || written is null)
        {
            var lines = said.Replace($"{settings.Common.Root}/", "", StringComparison.Ordinal).Split('\n');
            row["said"] = string.Join('\n', lines.TakeLast(LinesOfFailure));
        }

        return row;
    }

    private static async Task<(bool Passed, string Said)> RunAsync(
        ChaosSettings settings, string trait, string record, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(
            "dotnet", [settings.Tests, "-parallel", "none", "-explicit", "on", "-trait", $"fault={trait}", "-noColor"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            Environment = { ["VALUECANVAS_CHAOS"] = "long", ["VALUECANVAS_CHAOS_RESULTS"] = record },
        };
        using var process = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            var said = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode == 0, said);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            return (false, $"It was not over after {Limit}.");
        }
    }
}
