using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Says everything that is wrong with the section at once, each message with the key to set.</summary>
internal sealed class InferenceOptionsValidator : IValidateOptions<InferenceOptions>
{
    public ValidateOptionsResult Validate(string? name, InferenceOptions options)
    {
        var wrong = new List<string>();
        ProviderRules.Check(options, wrong);
        RouteRules.Check(options, wrong);
        Aliases(options, wrong);
        Limits(options, wrong);
        options.Routing.Validate(wrong);
        options.Admission.Validate(wrong);
        options.Autoscale.Validate(wrong);
        options.Batch.Validate(wrong);
        options.Resume.Validate(wrong);
        options.Hedging.Validate(wrong);
        ResilienceValidation.Check(options, wrong);
        return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(wrong);
    }

    private static void Aliases(InferenceOptions options, List<string> wrong)
    {
        foreach (var alias in options.Aliases.Keys)
        {
            switch (ModelAliases.Follow(options, alias, out _))
            {
                case ModelAliases.Chain.Loops:
                    wrong.Add($"Inference:Aliases:{alias} leads back to itself.");
                    break;
                case ModelAliases.Chain.NoDefault:
                    wrong.Add($"Inference:DefaultModel must be set: Inference:Aliases:{alias} means it.");
                    break;
                case ModelAliases.Chain.Empty:
                    wrong.Add($"Inference:Aliases:{alias} must name a model.");
                    break;
            }
        }
    }

    private static void Limits(InferenceOptions options, List<string> wrong)
    {
        if (options.MaxBodyBytes is < 1024 or > 1024 * 1024 * 1024)
            wrong.Add("Inference:MaxBodyBytes must be from 1024 (1 KiB) to 1073741824 (1 GiB).");

        if (options.MaxBufferedBytes < 2L * options.MaxBodyBytes)
            wrong.Add("Inference:MaxBufferedBytes must be at least twice Inference:MaxBodyBytes, so that one body can be read.");

        Positive(options.ConnectTimeout, nameof(options.ConnectTimeout));
        Positive(options.HeadersTimeout, nameof(options.HeadersTimeout));
        Positive(options.FrozenTimeout, nameof(options.FrozenTimeout));
        Positive(options.FirstTokenTimeout, nameof(options.FirstTokenTimeout));
        Positive(options.StreamTimeout, nameof(options.StreamTimeout));
        Positive(options.KeepAlive, nameof(options.KeepAlive));
        Positive(options.IdleTimeout, nameof(options.IdleTimeout));
        Positive(options.TotalTimeout, nameof(options.TotalTimeout));
        Positive(options.ProbeInterval, nameof(options.ProbeInterval));
        Positive(options.ProbeTimeout, nameof(options.ProbeTimeout));
        Positive(options.ResolveInterval, nameof(options.ResolveInterval));
        Positive(options.CredentialRest, nameof(options.CredentialRest));
        if (options.InternalKey is { Length: > 0 and < 16 })
            wrong.Add("Inference:InternalKey must have at least 16 characters.");

        if (options.OperatorKey is { Length: > 0 and < 16 })
            wrong.Add("Inference:OperatorKey must have at least 16 characters.");

        void Positive(TimeSpan value, string key) => ResilienceValidation.Positive(value, $"Inference:{key}", wrong);
    }
}
