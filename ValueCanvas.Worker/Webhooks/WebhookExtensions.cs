using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Worker.Webhooks;

internal static class WebhookExtensions
{
    /// <summary>Delivers what the outbox has for tenants' endpoints; needs the database.</summary>
    public static IServiceCollection AddWebhookDelivery(this IServiceCollection services)
    {
        services.AddWebhooks();
        services.AddSingleton<WebhookMetrics>();
        services.AddSingleton<WebhookOutbox>();
        services.AddSingleton<WebhookSender>();
        return services.AddHostedService<WebhookDeliverer>();
    }
}
