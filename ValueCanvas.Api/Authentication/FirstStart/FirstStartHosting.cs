using ValueCanvas.Api.Accounts.Passwords;

namespace ValueCanvas.Api.Authentication;

internal static class FirstStartHosting
{
    /// <summary>Needs accounts, API keys, the audit log and the database.</summary>
    public static IServiceCollection AddFirstStart(this IServiceCollection services)
    {
        services.AddOptions<FirstStartOptions>()
            .Configure<IConfiguration>(FirstStartOptions.Read)
            .Validate(options => options.HasUsableEmail(), $"{FirstStartOptions.EmailVariable} must be an e-mail address.")
            .Validate(
                options => options.HasUsablePassword(),
                $"{FirstStartOptions.PasswordVariable} must have {PasswordRules.MinLength} to {PasswordRules.MaxLength} characters, "
                + "and not be among the first that anybody would try.")
            .Validate(
                options => options.HasUsableKey(),
                $"{FirstStartOptions.ApiKeyVariable} must have between {FirstStartOptions.MinKeyLength} and 256 characters, "
                + "none of them a space.")
            .ValidateOnStart();
        services.AddSingleton<FirstAccount>();
        services.AddSingleton<FirstKey>();
        services.AddSingleton<FirstStart>();
        return services.AddHostedService(provider => provider.GetRequiredService<FirstStart>());
    }
}
