namespace ValueCanvas.ProxyBench.Reports;

/// <summary>Puts the tables between the two marks of the document.</summary>
internal static class Document
{
    private const string Begin = "<!-- bench/run.sh proxy: begin -->";
    private const string End = "<!-- bench/run.sh proxy: end -->";

    public static void Replace(string file, string tables)
    {
        var text = File.Exists(file) ? File.ReadAllText(file) : "";
        var (begin, end) = (text.IndexOf(Begin, StringComparison.Ordinal), text.IndexOf(End, StringComparison.Ordinal));
        if (begin < 0 || end < begin)
        {
            Console.Error.WriteLine($"{file} lacks the marks '{Begin}' and '{End}'; it was left as it is.");
            return;
        }

        File.WriteAllText(file, $"{text[..(begin + Begin.Length)]}\n{tables.TrimEnd()}\n{text[end..]}");
        Console.WriteLine($"Tables written to {file}");
    }
}
