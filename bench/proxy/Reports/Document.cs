using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ValueCanvas.ProxyBench.Reports;

/// <summary>What is left of a run: its raw figures in a file of their own, and its tables between the two marks of the document.</summary>
internal static class Document
{
    public static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes the raw figures, prints the tables that they make, and puts these into the document where that is wanted.</summary>
    public static async Task PublishAsync(
        Settings settings, DateTimeOffset started, JsonObject result, Func<JsonObject, string, string> tables, bool write,
        CancellationToken cancellationToken)
    {
        var benchmark = result["benchmark"]!.GetValue<string>();
        var name = $"{benchmark}-{started:yyyyMMdd-HHmmss}{(settings.Quick ? "-quick" : "")}.json";
        var file = Path.Combine(Directory.CreateDirectory(Path.Combine(settings.Root, "bench", "results")).FullName, name);
        var raw = result.ToJsonString(Indented);
        await File.WriteAllTextAsync(file, raw + "\n", cancellationToken);
        // Read back: in what was only just put together an int is not a double.
        var text = tables(JsonNode.Parse(raw)!.AsObject(), name);
        Console.WriteLine();
        Console.WriteLine(text);
        Console.WriteLine($"Raw figures: bench/results/{name}");
        if (write)
            Replace(Path.Combine(settings.Root, "docs", "performance.md"), benchmark, text);
    }

    private static void Replace(string file, string benchmark, string tables)
    {
        var (beginMark, endMark) = ($"<!-- bench/run.sh {benchmark}: begin -->", $"<!-- bench/run.sh {benchmark}: end -->");
        var text = File.Exists(file) ? File.ReadAllText(file) : "";
        var (begin, end) = (text.IndexOf(beginMark, StringComparison.Ordinal), text.IndexOf(endMark, StringComparison.Ordinal));
        if (begin < 0 || end < begin)
        {
            Console.Error.WriteLine($"{file} lacks the marks '{beginMark}' and '{endMark}'; it was left as it is.");
            return;
        }

        File.WriteAllText(file, $"{text[..(begin + beginMark.Length)]}\n{tables.TrimEnd()}\n{text[end..]}");
        Console.WriteLine($"Tables written to {file}");
    }
}
