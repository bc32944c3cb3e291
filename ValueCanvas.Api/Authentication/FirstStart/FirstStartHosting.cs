namespace ValueCanvas.Api.Authentication;

internal static class FirstStartHosting
{
    public static IServiceCollection AddFirstStart(this IServiceCollection services)
    {
        services.AddOptions<FirstStartOptions>()
            .Configure<IConfiguration>(FirstStartOptions.Read)
            .Validate(options => options.Email.Contains('@', StringComparison.Ordinal), $"{FirstStartOptions.EmailVariable} must be an e-mail address.")
            .Validate(
                options => options.Password is null or { Length: >= FirstStartOptions.MinPasswordLength },
                $"{FirstStartOptions.PasswordVariable} must have at least {FirstStartOptions.MinPasswordLength} characters.")
            .Validate(
                options => options.HasUsableKey(),
                $"{FirstStartOptions.ApiKeyVariable} must have between {FirstStartOptions.MinKeyLength} and 256 characters, none of them a space.")
            .ValidateOnStart();
        services.AddSingleton<FirstAccount>();
        services.AddSingleton<FirstKey>();
        return services.AddHostedService<FirstStart>();
    }
}
