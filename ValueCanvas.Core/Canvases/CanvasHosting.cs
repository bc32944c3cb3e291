using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Core.Canvases;

public static class CanvasHosting
{
    /// <summary>Adds <see cref="CanvasGenerator"/> and the prompts; needs <c>AddInference</c>.</summary>
    public static IServiceCollection AddCanvases(this IServiceCollection services)
    {
        services.AddPrompts();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<CanvasGenerator>();
        services.TryAddSingleton<CanvasRefiner>();
        return services;
    }
}
