using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Webhooks;

public static class WebhookHosting
{
    /// <summary>Adds what Api and Worker need both: the options, endpoints' secrets, and where may be delivered to.</summary>
    public static IServiceCollection AddWebhooks(this IServiceCollection services)
    {
        services.AddSingleton<IValidateOptions<WebhookOptions>, OptionsValidator>();
        services.AddOptions<WebhookOptions>().BindConfiguration(WebhookOptions.Section).ValidateOnStart();
        services.AddSingleton<WebhookSecrets>();
        return services.AddSingleton<WebhookNetworks>();
    }

    private sealed class OptionsValidator : IValidateOptions<WebhookOptions>
    {
        public ValidateOptionsResult Validate(string? name, WebhookOptions options) =>
            options.Problems().ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
