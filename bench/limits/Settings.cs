using System.Globalization;

namespace ValueCanvas.LimitsBench;

internal sealed record Settings(string Root, double Seconds, IReadOnlySet<string> Stages, string? Label, bool WritesDocument)
{
    public static Settings Parse(string[] options)
    {
        var settings = new Settings(".", 10, new HashSet<string> { "checks", "exact", "authentication" }, null, true);
        for (var i = 0; i < options.Length; i++)
        {
            settings = options[i] switch
            {
                "--root" => settings with { Root = Next() },
                "--quick" => settings with { Seconds = 2, WritesDocument = false },
                "--seconds" => settings with { Seconds = double.Parse(Next(), CultureInfo.InvariantCulture) },
                "--only" => settings with { Stages = Next().Split(',').ToHashSet(), WritesDocument = false },
                "--label" => settings with { Label = Next() },
                "--no-doc" => settings with { WritesDocument = false },
                var other => throw new ArgumentException($"Unknown option: {other}; --help tells those that there are."),
            };

            string Next() => ++i < options.Length ? options[i] : throw new ArgumentException($"{options[i - 1]} needs a value.");
        }

        return settings;
    }
}
