using System.Globalization;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>How the keys are called; one hash tag for all.</summary>
internal static class KeyNames
{
    public static string Clock(string prefix) => $"{{{prefix}:limits}}:clock";

    public static string Instances(string prefix) => $"{{{prefix}:limits}}:instances";

    /// <summary>Another algorithm or window is another count: a change of these begins anew.</summary>
    public static string Count(string prefix, LimitPolicy policy, string subject, int resets) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{{prefix}:limits}}:{Letter(policy.Algorithm)}{policy.WindowMicros / 1000}:{policy.Name}:{subject}"
            + $"{(resets == 0 ? "" : $"#{resets}")}");

    public static string Records(string count) => count + ":open";

    public static string Letter(LimitAlgorithm algorithm) => algorithm switch
    {
        LimitAlgorithm.TokenBucket => "b",
        LimitAlgorithm.SlidingWindow => "s",
        LimitAlgorithm.FixedWindow => "f",
        _ => "c",
    };
}
