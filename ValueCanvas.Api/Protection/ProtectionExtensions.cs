namespace ValueCanvas.Api.Protection;

internal static class ProtectionExtensions
{
    /// <summary>What stands between the network and the features.</summary>
    public static IServiceCollection AddProtection(this IServiceCollection services)
    {
        services.AddSingleton<ClientSource>();
        return services;
    }
}
