using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.OpenAi;

internal static class OpenAiEndpoints
{
    // Says in the OpenAPI document that there is a body; what is in it is OpenAI's and the model server's to define, and no
    // Content-Type is refused.
    private static readonly AcceptsMetadata AnyJson = new(["application/json", "*/*"], typeof(JsonElement), isOptional: false);

    public static IServiceCollection AddOpenAi(this IServiceCollection services) => services.AddSingleton<OpenAiForwarder>();

    /// <summary>OpenAI's API, as the inference proxy serves it: an OpenAI client works by changing its base address.</summary>
    public static RouteGroupBuilder MapOpenAiEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("OpenAI").WithMetadata(BodyLimit.OpenAi, new NotAudited("A question to a model changes nothing."))
            .RequireScope(Scopes.Llm).RequireRole(Role.Member);
        group.MapPost("/chat/completions", ForwardAsync).WithMetadata(AnyJson, TokenCost.OpenAi)
            .WithSummary("OpenAI chat completion, streamed or not");
        group.MapPost("/completions", ForwardAsync).WithMetadata(AnyJson, TokenCost.OpenAiText)
            .WithSummary("OpenAI text completion, streamed or not");
        group.MapPost("/embeddings", ForwardAsync).WithMetadata(AnyJson, TokenCost.Embedding).WithSummary("OpenAI embeddings");
        group.MapGet("/models", ForwardAsync).WithSummary("The models that are served");
        // A model's name may hold slashes.
        group.MapGet("/models/{**model}", ForwardAsync).WithSummary("One model");
        return group;
    }

    private static Task ForwardAsync(HttpContext context, Caller caller, OpenAiForwarder forwarder) =>
        forwarder.ForwardAsync(context, caller);
}
