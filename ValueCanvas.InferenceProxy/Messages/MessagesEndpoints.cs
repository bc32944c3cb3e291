using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Messages;

internal static class MessagesEndpoints
{
    public static IServiceCollection AddMessages(this IServiceCollection services)
    {
        services.AddSingleton<MessagesFront>();
        return services;
    }

    /// <summary><c>POST /v1/messages</c> and <c>/v1/messages/count_tokens</c>; below that path every error has Anthropic's shape.</summary>
    public static IEndpointRouteBuilder MapMessagesEndpoints(this IEndpointRouteBuilder endpoints)
    {
        var front = endpoints.ServiceProvider.GetRequiredService<MessagesFront>();
        endpoints.Map("/v1/messages", context => front.AnswerAsync(context, InferenceOperation.Chat));
        endpoints.Map("/v1/messages/count_tokens", context => front.AnswerAsync(context, InferenceOperation.CountTokens));
        endpoints.Map("/v1/messages/{**rest}", context => MessagesFront.RefuseAsync(context, ProxyError.UnknownPath));
        return endpoints;
    }
}
