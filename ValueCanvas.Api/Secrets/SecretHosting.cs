using Microsoft.Extensions.Options;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Secrets;

internal static class SecretHosting
{
    public static IServiceCollection AddSecrets(this IServiceCollection services)
    {
        services.AddOptions<SecretOptions>()
            .BindConfiguration(SecretOptions.Section)
            .Validate(
                options => options.SecretKey is { Length: >= SecretOptions.MinLength },
                $"{SecretOptions.Section}:{nameof(SecretOptions.SecretKey)} is missing or has fewer than 22 characters: "
                + "set it to a random secret, the same in every instance, and keep it.")
            .ValidateOnStart();
        return services.AddSingleton(provider => new SecretBox(provider.GetRequiredService<IOptions<SecretOptions>>().Value.SecretKey!));
    }
}
