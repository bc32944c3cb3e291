using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench;

namespace ValueCanvas.ChaosBench;

/// <summary>What the command line asks for; <see cref="Common"/> is what all benchmarks have.</summary>
internal sealed class ChaosSettings
{
    /// <summary>The faults, as the tests name them (trait <c>fault</c>); what happens where there is none comes first and last.</summary>
    public static readonly string[] All =
    [
        Nothing, "worker-killed", "worker-frozen", "postgres-restarted", "backends-terminated", "connections-used-up", "pool-exhausted",
        "redis-killed", "redis-flushed", "api-killed", "api-killed-after-commit", "replica-killed", "clocks-apart", "poison-job",
        "rescuers", "malformed-rows", NothingAgain,
    ];

    private const string Nothing = "nothing";
    private const string NothingAgain = "nothing-again";

    public required Settings Common { get; init; }

    public required IReadOnlyList<string> Faults { get; init; }

    /// <summary>An earlier run, whose rows stand but for those of <see cref="Faults"/>.</summary>
    public JsonObject? Earlier { get; private init; }

    /// <summary>The tests, as they are built.</summary>
    public string Tests => Path.Combine(Common.Root, "artifacts", "bin", "ValueCanvas.Tests", "debug", "ValueCanvas.Tests.dll");

    public bool WriteDocument { get; private init; }

    public static string Trait(string fault) => fault == NothingAgain ? Nothing : fault;

    public static ChaosSettings Parse(string[] arguments)
    {
        IReadOnlyList<string> faults = All;
        string? into = null;
        List<string> common = [];
        for (var i = 0; i < arguments.Length; i++)
        {
            string Value() => ++i < arguments.Length ? arguments[i] : throw new ArgumentException($"{arguments[i - 1]} needs a value.");
            switch (arguments[i])
            {
                case "--only":
                    faults = Named(Value().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
                    break;
                case "--into":
                    into = Value();
                    break;
                default:
                    common.Add(arguments[i]);
                    break;
            }
        }

        var settings = Settings.Parse([.. common]);
        var earlier = into is null ? null : Read(Path.Combine(settings.Root, into));
        var measured = earlier?["faults"]?.AsArray().Select(row => (string)row!["key"]!).ToArray() ?? [];
        return new ChaosSettings
        {
            Common = settings,
            Faults = faults,
            Earlier = earlier,
            WriteDocument = settings.WriteDocument && All.All(fault => faults.Contains(fault) || measured.Contains(fault)),
        };
    }

    private static JsonObject Read(string file) => File.Exists(file) && JsonNode.Parse(File.ReadAllText(file)) is JsonObject { } run
        && (string?)run["benchmark"] == "chaos" ? run : throw new ArgumentException($"--into: {file} is no run of this benchmark.");

    private static string[] Named(string[] names) => names.FirstOrDefault(name => !All.Contains(name)) is { } unknown
        ? throw new ArgumentException($"--only: there is no fault '{unknown}'; the faults are {string.Join(", ", All)}.")
        : [.. All.Where(names.Contains)];
}
