using System.Globalization;
using Microsoft.Extensions.Configuration;
using OpenTelemetry.Trace;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>The sampler that <c>OTEL_TRACES_SAMPLER</c> and <c>OTEL_TRACES_SAMPLER_ARG</c> ask for: the SDK ignores them as soon as the
/// program sets a sampler of its own.</summary>
internal static class ConfiguredSampler
{
    private const double DefaultTracesPerSecond = 100;

    public static Sampler Create(IConfiguration configuration)
    {
        var name = configuration["OTEL_TRACES_SAMPLER"];
        return name switch
        {
            null or "" or "parentbased_rate_limited" => new ParentBasedSampler(
                new RateLimitingSampler(Rate(configuration), TimeProvider.System)),
            "rate_limited" => new RateLimitingSampler(Rate(configuration), TimeProvider.System),
            "parentbased_always_on" => new ParentBasedSampler(new AlwaysOnSampler()),
            "always_on" => new AlwaysOnSampler(),
            "always_off" => new AlwaysOffSampler(),
            "traceidratio" => new TraceIdRatioBasedSampler(Ratio(configuration)),
            "parentbased_always_off" => new ParentBasedSampler(new AlwaysOffSampler()),
            "parentbased_traceidratio" => new ParentBasedSampler(new TraceIdRatioBasedSampler(Ratio(configuration))),
            _ => throw new InvalidOperationException($"OTEL_TRACES_SAMPLER is '{name}'; use always_on, always_off, traceidratio, "
                + "rate_limited or one of these with the prefix parentbased_."),
        };
    }

    private static double Ratio(IConfiguration configuration) => Argument(configuration, 1, 0, 1);

    private static double Rate(IConfiguration configuration) => Argument(configuration, DefaultTracesPerSecond, 0.01, 1_000_000);

    private static double Argument(IConfiguration configuration, double otherwise, double least, double most)
    {
        var text = configuration["OTEL_TRACES_SAMPLER_ARG"];
        if (string.IsNullOrEmpty(text))
            return otherwise;

        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value
            : throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture, $"OTEL_TRACES_SAMPLER_ARG is '{text}'; it must be a number from {least} to {most}."));
    }
}
