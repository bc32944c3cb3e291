using System.Globalization;
using System.Text.Json;

namespace ValueCanvas.ProxyBench;

/// <summary>What the command line asks for.</summary>
internal sealed class Settings
{
    private static readonly string[] AllStages = ["start", "overhead", "half", "streaming", "routing", "trace", "soak"];

    public string Root { get; private set; } = ".";

    public bool Quick { get; private set; }

    public IReadOnlyList<string> Stages { get; private set; } = AllStages;

    /// <summary>How often each cell of the overhead table is measured, the targets taking turns.</summary>
    public int Rounds { get; private set; } = 5;

    public int Seconds { get; private set; } = 4;

    public double SoakMinutes { get; private set; } = 30;

    public string? Trace { get; private set; }

    /// <summary>How much faster than it was recorded the trace is replayed.</summary>
    public double TraceSpeed { get; private set; } = 20;

    public string? Label { get; private set; }

    public bool WriteDocument { get; private set; } = true;

    public string WorkDirectory => Path.Combine(Root, "artifacts", "bench", "work");

    public string PortkeyDirectory => Path.Combine(Root, "artifacts", "bench", "portkey", "node_modules", "@portkey-ai", "gateway");

    public string? PortkeyVersion => File.Exists(Path.Combine(PortkeyDirectory, "package.json"))
        ? JsonDocument.Parse(File.ReadAllText(Path.Combine(PortkeyDirectory,
            "package.json"))).RootElement.GetProperty("version").GetString()
        : null;

    public string Binary(string project) => Path.Combine(Root, "artifacts", "bin", project, "release", project);

    public static Settings Parse(string[] arguments)
    {
        var settings = new Settings();
        var given = new HashSet<string>();
        for (var i = 0; i < arguments.Length; i++)
        {
            var name = arguments[i];
            string Value() => ++i < arguments.Length ? arguments[i] : throw new ArgumentException($"{name} needs a value.");
            double Number() => double.TryParse(Value(), CultureInfo.InvariantCulture, out var number) && number > 0
                ? number
                : throw new ArgumentException($"{name} needs a number above 0.");
            given.Add(name);
            switch (name)
            {
                case "--root": settings.Root = Path.GetFullPath(Value()); break;
                case "--quick": settings.Quick = true; break;
                case "--only": settings.Stages = Stage(Value()); break;
                case "--rounds": settings.Rounds = (int)Number(); break;
                case "--seconds": settings.Seconds = (int)Math.Ceiling(Number()); break;
                case "--soak-minutes": settings.SoakMinutes = Number(); break;
                case "--trace": settings.Trace = Value(); break;
                case "--trace-speed": settings.TraceSpeed = Number(); break;
                case "--label": settings.Label = Value(); break;
                case "--no-doc": settings.WriteDocument = false; break;
                default: throw new ArgumentException($"Unknown option {name}; --help lists them.");
            }
        }

        if (settings.Quick)
        {
            settings.Rounds = given.Contains("--rounds") ? settings.Rounds : 1;
            settings.Seconds = given.Contains("--seconds") ? settings.Seconds : 1;
            settings.SoakMinutes = given.Contains("--soak-minutes") ? settings.SoakMinutes : 0.1;
            settings.WriteDocument = false;
            if (!given.Contains("--only"))
                settings.Stages = [.. AllStages.Where(s => s != "trace")];
        }

        settings.WriteDocument &= !given.Contains("--only");
        settings.Trace ??= Path.Combine(settings.Root, "..", "shared", "traces", "conversation_trace.jsonl");
        return settings;
    }

    private static string[] Stage(string list)
    {
        var stages = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return stages.FirstOrDefault(s => !AllStages.Contains(s)) is { } unknown
            ? throw new ArgumentException($"--only: there is no stage '{unknown}'; the stages are {string.Join(", ", AllStages)}.")
            : [.. AllStages.Where(stages.Contains)];
    }
}
