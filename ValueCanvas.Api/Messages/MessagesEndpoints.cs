using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.OpenAi;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Messages;

internal static class MessagesEndpoints
{
    private static readonly AcceptsMetadata AnyJson = new(["application/json", "*/*"], typeof(JsonElement), isOptional: false);

    /// <summary>
    /// Anthropic's Messages API, as the inference proxy serves it for every model; what this service itself refuses it refuses in
    /// Anthropic's words, too. Its clients send the key as <c>x-api-key</c>.
    /// </summary>
    public static RouteGroupBuilder MapMessagesEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Anthropic").WithMetadata(BodyLimit.OpenAi, AnyJson, new NotAudited("A question to a model changes nothing."))
            .RequireScope(Scopes.Llm).RequireRole(Role.Member);
        group.MapPost("", ForwardAsync).WithMetadata(TokenCost.Messages).WithSummary("Anthropic message, streamed or not");
        // Nothing is generated, so no tokens are spent.
        group.MapPost("/count_tokens", ForwardAsync).WithSummary("How many tokens such a message would have");
        return group;
    }

    private static Task ForwardAsync(HttpContext context, Caller caller, OpenAiForwarder forwarder) =>
        forwarder.ForwardAsync(context, caller);
}
