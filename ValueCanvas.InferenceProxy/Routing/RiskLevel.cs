namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>How much depends on an answer; chooses among the chains of a model.</summary>
internal enum RiskLevel
{
    Low,
    Medium,
    High,
    Critical,
}

internal static class RiskLevels
{
    public const string Names = "low, medium, high or critical";

    public static bool TryParse(string? text, out RiskLevel level)
    {
        (var known, level) = text?.ToLowerInvariant() switch
        {
            "low" => (true, RiskLevel.Low),
            "medium" => (true, RiskLevel.Medium),
            "high" => (true, RiskLevel.High),
            "critical" => (true, RiskLevel.Critical),
            _ => (false, default),
        };
        return known;
    }
}
