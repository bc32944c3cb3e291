using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace ValueCanvas.Core.Prompts;

public static class PromptHosting
{
    public static IServiceCollection AddPrompts(this IServiceCollection services)
    {
        services.TryAddSingleton<PromptCatalog>();
        return services;
    }
}
