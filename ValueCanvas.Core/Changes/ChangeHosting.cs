using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace ValueCanvas.Core.Changes;

/// <summary>Who remembers a part of the database.</summary>
public static class ChangeHosting
{
    /// <summary>The follower is told of changes as long as the service runs; needs the database.</summary>
    public static IServiceCollection AddChangeFollower<T>(this IServiceCollection services) where T : class, IChangeFollower
    {
        services.TryAddSingleton<T>();
        services.AddSingleton<IChangeFollower>(provider => provider.GetRequiredService<T>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ChangeFeed>());
        return services;
    }
}
