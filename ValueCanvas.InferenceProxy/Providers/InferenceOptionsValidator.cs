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
        Endpoints(options, wrong);
        Aliases(options, wrong);
        Limits(options, wrong);
        ResilienceValidation.Check(options, wrong);
        return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(wrong);
    }

    private static void Endpoints(InferenceOptions options, List<string> wrong)
    {
        if (options.Providers.Values.Sum(provider => provider.Endpoints.Count) == 0)
        {
            wrong.Add("Inference:Providers names no model server; set Inference:Providers:vllm:Endpoints:0 to its URL.");
        }

        foreach (var (provider, settings) in options.Providers)
        {
            for (var i = 0; i < settings.Endpoints.Count; i++)
            {
                var key = $"Inference:Providers:{provider}:Endpoints:{i}";
                if (!Uri.TryCreate(settings.Endpoints[i], UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0)
                {
                    wrong.Add($"{key} must be an absolute http or https URL.");
                }
                else if (uri.UserInfo.Length > 0 || uri.Query.Length > 0)
                {
                    wrong.Add($"{key} must have no user, password or query.");
                }
                else if (uri.AbsolutePath.TrimEnd('/').EndsWith("/v1", StringComparison.Ordinal))
                {
                    wrong.Add($"{key} must not end in /v1; the proxy adds it.");
                }
            }
        }
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
        {
            wrong.Add("Inference:MaxBodyBytes must be from 1024 (1 KiB) to 1073741824 (1 GiB).");
        }

        Positive(options.ConnectTimeout, nameof(options.ConnectTimeout));
        Positive(options.HeadersTimeout, nameof(options.HeadersTimeout));
        Positive(options.FirstTokenTimeout, nameof(options.FirstTokenTimeout));
        Positive(options.StreamTimeout, nameof(options.StreamTimeout));
        Positive(options.KeepAlive, nameof(options.KeepAlive));
        Positive(options.IdleTimeout, nameof(options.IdleTimeout));
        Positive(options.TotalTimeout, nameof(options.TotalTimeout));
        Positive(options.ProbeInterval, nameof(options.ProbeInterval));
        Positive(options.ProbeTimeout, nameof(options.ProbeTimeout));

        void Positive(TimeSpan value, string key) => ResilienceValidation.Positive(value, $"Inference:{key}", wrong);
    }
}
