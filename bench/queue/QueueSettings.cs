using System.Globalization;
using ValueCanvas.ProxyBench;

namespace ValueCanvas.QueueBench;

/// <summary>What the command line asks for; <see cref="Common"/> is what the parts that are the proxy benchmark's read.</summary>
internal sealed class QueueSettings
{
    public const int Callers = 64;

    /// <summary>Jobs that a worker runs at the same time, ours and the peer's.</summary>
    public const int Concurrency = 32;

    public static readonly (int Workers, bool Hints)[] Setups = [(1, true), (1, false), (3, true), (3, false)];

    private static readonly string[] AllStages = ["jobs", "enqueue", "pickup", "fairness", "bullmq"];

    public required Settings Common { get; init; }

    public required IReadOnlyList<string> Stages { get; init; }

    /// <summary>Jobs that have ended long before, with their results and histories.</summary>
    public required int Finished { get; init; }

    /// <summary>Jobs that wait when workers are timed.</summary>
    public int Jobs => Common.Quick ? 1_000 : 12_000;

    public int Warm => Common.Quick ? 200 : 2_500;

    public TimeSpan Time => TimeSpan.FromSeconds(Common.Quick ? 1 : 2 * Common.Seconds);

    public bool WriteDocument { get; private init; }

    public string BullMqDirectory => Path.Combine(Common.Root, "artifacts", "bench", "bullmq");

    public static QueueSettings Parse(string[] arguments)
    {
        IReadOnlyList<string> stages = AllStages;
        var finished = arguments.Contains("--quick") ? 20_000 : 1_000_000;
        List<string> common = [];
        for (var i = 0; i < arguments.Length; i++)
        {
            string Value() => ++i < arguments.Length ? arguments[i] : throw new ArgumentException($"{arguments[i - 1]} needs a value.");
            switch (arguments[i])
            {
                case "--only":
                    stages = Named(Value().Split(',', StringSplitOptions.RemoveEmptyEntries));
                    break;
                case "--finished":
                    finished = int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                        ? number
                        : throw new ArgumentException("--finished needs a number.");
                    break;
                default:
                    common.Add(arguments[i]);
                    break;
            }
        }

        var settings = Settings.Parse([.. common]);
        return new QueueSettings
        {
            Common = settings,
            Stages = stages,
            Finished = finished,
            WriteDocument = settings.WriteDocument && !arguments.Contains("--only") && finished == 1_000_000,
        };
    }

    private static string[] Named(string[] names) => names.FirstOrDefault(name => !AllStages.Contains(name)) is { } unknown
        ? throw new ArgumentException($"--only: there is no stage '{unknown}'; the stages are {string.Join(", ", AllStages)}.")
        : [.. AllStages.Where(names.Contains)];
}
