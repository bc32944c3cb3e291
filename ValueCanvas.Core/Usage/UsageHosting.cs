using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Core.Usage.Operation;
using ValueCanvas.Core.Usage.Pricing;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage;

public static class UsageHosting
{
    /// <summary>Has every call of a model that is for somebody in the books; needs the database, and Redis where there is one.</summary>
    public static IServiceCollection AddUsage(this IServiceCollection services)
    {
        services.AddSingleton<IValidateOptions<UsageOptions>, OptionsValidator>();
        services.AddOptions<UsageOptions>().BindConfiguration(UsageOptions.Section).ValidateOnStart();
        services.AddSingleton<UsageMetrics>();
        services.AddSingleton<UsageDirectory>();
        services.AddSingleton<UsageTable>();
        services.AddSingleton<UsageSpill>();
        services.AddSingleton<OpenCalls>();
        services.AddSingleton<UsageWriter>();
        services.AddSingleton<UsageLedger>();
        services.AddSingleton<PriceList>();
        services.AddSingleton<BudgetRedis>();
        services.AddSingleton<BudgetTable>();
        services.AddSingleton<BudgetBook>();
        services.AddHostedService(provider => provider.GetRequiredService<UsageWriter>());
        services.AddHostedService<BudgetKeeper>();
        return services.AddHostedService<SystemMetrics>();
    }

    private sealed class OptionsValidator : IValidateOptions<UsageOptions>
    {
        public ValidateOptionsResult Validate(string? name, UsageOptions options) =>
            options.Problems().ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
