using System.Globalization;
using ValueCanvas.ProxyBench;

namespace ValueCanvas.GatewayBench;

/// <summary>What the command line asks for; <see cref="Common"/> is what the parts that are the proxy benchmark's read.</summary>
internal sealed class GatewaySettings
{
    private static readonly string[] AllStages = ["uncached", "half", "hits", "accounting", "soak"];

    public required Settings Common { get; init; }

    public required IReadOnlyList<string> Stages { get; init; }

    public bool WriteDocument { get; private init; }

    public static GatewaySettings Parse(string[] arguments)
    {
        string[] stages = [.. AllStages.Where(stage => stage != "soak" || arguments.Contains("--soak-minutes"))];
        List<string> common = [];
        for (var i = 0; i < arguments.Length; i++)
        {
            if (arguments[i] != "--only")
            {
                common.Add(arguments[i]);
                continue;
            }

            var named = (++i < arguments.Length ? arguments[i] : "").Split(',', StringSplitOptions.RemoveEmptyEntries);
            stages = named.FirstOrDefault(stage => !AllStages.Contains(stage)) is { } unknown
                ? throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                    $"--only: there is no stage '{unknown}'; the stages are {string.Join(", ", AllStages)}."))
                : [.. AllStages.Where(named.Contains)];
        }

        var settings = Settings.Parse([.. common]);
        return new GatewaySettings
        {
            Common = settings,
            Stages = stages,
            WriteDocument = settings.WriteDocument && !arguments.Contains("--only"),
        };
    }
}
