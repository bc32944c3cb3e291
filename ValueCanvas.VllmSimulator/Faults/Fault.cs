using System.Globalization;

namespace ValueCanvas.VllmSimulator.Faults;

/// <summary>
/// What goes wrong, on demand: <c>status=503; retry-after=2; delay=2s; stall-after=5; cut-after=5; malformed-after=3;
/// probability=0.3; path=/v1/chat</c>. Counts are in output tokens; 0 means before the first.
/// </summary>
internal sealed record Fault
{
    public int? Status { get; init; }

    public double? RetryAfter { get; init; }

    public TimeSpan Delay { get; init; }

    public int? StallAfter { get; init; }

    public int? CutAfter { get; init; }

    public int? MalformedAfter { get; init; }

    public double Probability { get; init; } = 1;

    public string Path { get; init; } = "/v1/";

    /// <summary>The fault, or which part of the text is wrong.</summary>
    public static (Fault? Fault, string? Error) Parse(string text)
    {
        var fault = new Fault();
        foreach (var part in text.Split([';', ','], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=');
            var name = equals < 0 ? part : part[..equals].TrimEnd();
            var value = equals < 0 ? "" : part[(equals + 1)..].TrimStart();
            if (With(fault, name, value) is not { } next)
                return (null, $"'{part}' is not a fault: use {Usage}.");
            fault = next;
        }
        return (fault, null);
    }

    public const string Usage = "status=400..599, retry-after=SECONDS, delay=2s or 250ms, stall-after=TOKENS, cut-after=TOKENS, malformed-after=TOKENS, "
        + "probability=0..1, path=/PREFIX, separated by ';'";

    private static Fault? With(Fault fault, string name, string value) => name.ToLowerInvariant() switch
    {
        "status" when Number(value, 400, 599) is { } status => fault with { Status = status },
        "retry-after" when Real(value) is { } seconds and >= 0 => fault with { RetryAfter = seconds },
        "delay" when Duration(value) is { } delay => fault with { Delay = delay },
        "stall-after" when Number(value, 0, int.MaxValue) is { } tokens => fault with { StallAfter = tokens },
        "cut-after" when Number(value, 0, int.MaxValue) is { } tokens => fault with { CutAfter = tokens },
        "malformed-after" when Number(value, 0, int.MaxValue) is { } tokens => fault with { MalformedAfter = tokens },
        "probability" when Real(value) is { } probability and >= 0 and <= 1 => fault with { Probability = probability },
        "path" when value.StartsWith('/') => fault with { Path = value },
        _ => null,
    };

    private static int? Number(string value, int least, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number : null;

    private static double? Real(string value) =>
        double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static TimeSpan? Duration(string value)
    {
        var (digits, unit) = value.EndsWith("ms", StringComparison.Ordinal) ? (value[..^2], 0.001)
            : value.EndsWith('s') ? (value[..^1], 1.0)
            : value.EndsWith('m') ? (value[..^1], 60.0)
            : (value, 1.0);
        return Real(digits) is { } number && number * unit <= 3600 ? TimeSpan.FromSeconds(number * unit) : null;
    }
}
