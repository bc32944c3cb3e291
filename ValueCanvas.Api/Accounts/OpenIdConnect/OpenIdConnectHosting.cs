using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

internal static class OpenIdConnectHosting
{
    public static IServiceCollection AddOpenIdConnect(this IServiceCollection services)
    {
        services.AddOptions<AccountOptions>().BindConfiguration(AccountOptions.Section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<AccountOptions>, AccountOptionsValidation>();
        services.AddHttpClient(Provider.HttpClientName);
        services.AddSingleton<Providers>();
        services.AddSingleton<IdTokens>();
        return services.AddSingleton<ProviderSignIn>();
    }
}

internal sealed class AccountOptionsValidation : IValidateOptions<AccountOptions>
{
    public ValidateOptionsResult Validate(string? name, AccountOptions options)
    {
        List<string> problems = [];
        if (options.PublicUrl is { } url && !ProviderOptions.IsSafe(url))
            problems.Add("Accounts:PublicUrl must be an https address such as https://api.example.com.");
        foreach (var (key, provider) in options.OpenIdConnect)
        {
            var section = $"{AccountOptions.Section}:OpenIdConnect:{key}";
            if (key.Length > 40 || !key.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
                problems.Add($"{section}: the name stands in a path; use lower-case letters, digits and hyphens.");
            if (!ProviderOptions.IsSafe(provider.Authority))
                problems.Add($"{section}:Authority must be the https address of the issuer.");
            if (provider.ClientId.Length == 0)
                problems.Add($"{section}:ClientId is missing: the provider gives it.");
            if (!provider.Scopes.Split(' ').Contains("openid"))
                problems.Add($"{section}:Scopes must contain openid.");
        }

        return problems.Count > 0 ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
