using System.Globalization;
using System.Text.Json;

namespace ValueCanvas.GatewayBench.LoadTest;

/// <summary>deploy/load/mix.json, read as the k6 script beside it does: request i asks the same in every run of either.</summary>
internal sealed record Mix(
    int Seed, double RequestsPerSecond, double Seconds, int Prompts, double Exponent, int MaxTokens, string Model, string[] Businesses,
    string[] Places, string[] Questions)
{
    private static readonly JsonSerializerOptions Reading = new(JsonSerializerDefaults.Web);

    private double[]? _cumulated;

    public static Mix Read(string root) =>
        JsonSerializer.Deserialize<Mix>(File.ReadAllText(Path.Combine(root, "deploy", "load", "mix.json")), Reading)!;

    /// <summary>Which prompt request <paramref name="i"/> asks: rank 0 is the one that is asked most.</summary>
    public int Rank(int i)
    {
        _cumulated ??= Cumulate();
        var wanted = Random(i) * _cumulated[^1];
        var (low, high) = (0, _cumulated.Length - 1);
        while (low < high)
        {
            var middle = (low + high) >> 1;
            (low, high) = _cumulated[middle] > wanted ? (low, middle) : (middle + 1, high);
        }

        return low;
    }

    public string Body(int i) => JsonSerializer.Serialize(new { prompt = Prompt(Rank(i)), model = Model, maxTokens = MaxTokens }, Reading);

    private string Prompt(int n) => string.Create(CultureInfo.InvariantCulture,
        $"{Businesses[n % Businesses.Length]} in {Places[n / Businesses.Length % Places.Length]}, plan {n}. "
        + $"{Questions[n / (Businesses.Length * Places.Length) % Questions.Length]}");

    // mulberry32 of the seed and i.
    private double Random(int i)
    {
        unchecked
        {
            var t = (uint)Seed + ((uint)(i + 1) * 0x6D2B79F5u);
            t = (t ^ (t >> 15)) * (t | 1);
            t ^= t + ((t ^ (t >> 7)) * (t | 61));
            return (t ^ (t >> 14)) / 4294967296.0;
        }
    }

    private double[] Cumulate()
    {
        var sum = 0.0;
        return [.. Enumerable.Range(0, Prompts).Select(i => sum += 1 / Math.Pow(i + 1, Exponent))];
    }
}
