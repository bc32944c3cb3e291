using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.OpenIdConnect;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Protection;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Accounts;

internal static class AccountsHosting
{
    /// <summary>People, their sessions and tenants; needs the database, secrets, protection, the audit log and the first start.</summary>
    public static IServiceCollection AddAccounts(this IServiceCollection services)
    {
        services.AddAccessTokens();
        services.AddOpenIdConnect();
        services.AddAccountOptions();

        services.AddDbContextPool<AccountsDbContext>((provider, options) => options
            .UseValueCanvasDatabase(provider, interactive: true)
            // Identity's model has more than the tables here.
            .ConfigureWarnings(warnings => warnings.Ignore(CoreEventId.MappedEntityTypeIgnoredWarning)));
        services.AddSingleton<IPasswordHasher<User>, PasswordHasher<User>>();
        services.AddIdentityCore<User>(options =>
            {
                // Addresses are checked before Identity sees them, passwords by PasswordRules.
                options.User.AllowedUserNameCharacters = "";
                options.User.RequireUniqueEmail = true;
            })
            .AddEntityFrameworkStores<AccountsDbContext>();
        services.AddOptions<PasswordHasherOptions>().Configure<IOptions<HashingOptions>>(
            (hasher, options) => hasher.IterationCount = options.Value.Iterations);

        services.AddSingleton<AccountDatabase>();
        services.AddSingleton<PasswordHashing>();
        services.AddSingleton<LocalTries>();
        services.AddSingleton<RedisTries>();
        services.AddSingleton<SignInGuard>();
        services.AddSingleton<Registration>();
        services.AddSingleton<PasswordSignIn>();
        services.AddSingleton<PasswordResets>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<SessionCookies>();
        services.AddSingleton<SessionAnswers>();
        services.AddSingleton<MemberStore>();
        services.AddHostedService<AccountPruner>();
        return services.AddJson(AccountsContext.Default);
    }

    public static RouteGroupBuilder MapAuthEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Accounts").WithMetadata(BodyLimit.Accounts);
        group.MapSignInEndpoints();
        group.MapPasswordReset();
        group.MapSessionEndpoints();
        group.MapOpenIdConnectEndpoints();
        group.MapCsrfEndpoints();
        return group;
    }

    private static void AddAccountOptions(this IServiceCollection services)
    {
        services.AddOptions<HashingOptions>()
            .BindConfiguration(HashingOptions.Section)
            .Validate(
                options => options.Iterations >= HashingOptions.LeastIterations,
                $"{HashingOptions.Section}:Iterations must be at least {HashingOptions.LeastIterations}.")
            .Validate(options => options.MaxConcurrent >= 0, $"{HashingOptions.Section}:MaxConcurrent must not be negative.")
            .Validate(options => options.MaxWaiting > 0, $"{HashingOptions.Section}:MaxWaiting must be positive.")
            .Validate(options => options.MaxWait > TimeSpan.Zero, $"{HashingOptions.Section}:MaxWait must be positive.")
            .ValidateOnStart();
        services.AddOptions<AccountSessionOptions>()
            .BindConfiguration(AccountSessionOptions.Section)
            .Validate(
                options => options.Idle > TimeSpan.Zero && options.Absolute >= options.Idle,
                $"{AccountSessionOptions.Section}:Idle must be positive, and Absolute no shorter.")
            .Validate(
                options => options.Grace >= TimeSpan.Zero && options.Grace <= TimeSpan.FromMinutes(1),
                $"{AccountSessionOptions.Section}:Grace must be between 0 and a minute.")
            .Validate(options => options.Invitation > TimeSpan.Zero, $"{AccountSessionOptions.Section}:Invitation must be positive.")
            .Validate(
                options => options.PasswordReset > TimeSpan.Zero && options.PasswordReset <= TimeSpan.FromDays(7),
                $"{AccountSessionOptions.Section}:PasswordReset must be positive, and at most 7 days.")
            .Validate(
                options => options.KeepEnded >= TimeSpan.FromDays(1),
                $"{AccountSessionOptions.Section}:KeepEnded must be at least a day.")
            .ValidateOnStart();
        services.AddOptions<GuardOptions>()
            .BindConfiguration(GuardOptions.Section)
            .Validate(
                options => options is { FreeTries: > 0, MaxPerNetwork: > 0, MaxPerAccount: > 0, MaxRegistrations: > 0 },
                $"{GuardOptions.Section}: FreeTries, MaxPerNetwork, MaxPerAccount and MaxRegistrations must be positive.")
            .Validate(
                options => options.FirstDelay > TimeSpan.Zero && options.MaxDelay >= options.FirstDelay
                    && options.MaxDelay <= TimeSpan.FromDays(1),
                $"{GuardOptions.Section}:FirstDelay must be positive, and MaxDelay no shorter and at most a day.")
            .Validate(
                options => options.RedisTimeout > TimeSpan.Zero && options.RedisTimeout <= TimeSpan.FromSeconds(30),
                $"{GuardOptions.Section}:RedisTimeout must be positive and at most 30 seconds.")
            .ValidateOnStart();
    }
}
