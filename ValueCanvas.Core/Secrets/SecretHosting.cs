using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Core.Secrets;

/// <summary>What seals secrets.</summary>
public static class SecretHosting
{
    /// <summary>Reads section <c>Accounts</c>.</summary>
    /// <param name="services">Of the host.</param>
    /// <param name="isRequired">False where the service has work without it: then only what is sealed cannot be read.</param>
    public static IServiceCollection AddSecrets(this IServiceCollection services, bool isRequired = true)
    {
        services.AddOptions<SecretOptions>()
            .BindConfiguration(SecretOptions.Section)
            .Validate(
                options => options.SecretKey is { Length: >= SecretOptions.MinLength } || (!isRequired && options.SecretKey is null),
                $"{SecretOptions.Section}:{nameof(SecretOptions.SecretKey)} is missing or has fewer than 22 characters: "
                + "set it to a random secret, the same in every instance, and keep it.")
            .ValidateOnStart();
        return services.AddSingleton<SecretBox>();
    }
}
