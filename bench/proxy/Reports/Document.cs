namespace ValueCanvas.ProxyBench.Reports;

/// <summary>Puts the tables between the two marks of the document.</summary>
internal static class Document
{
    public static void Replace(string file, string benchmark, string tables)
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
