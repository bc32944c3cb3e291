using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Cache;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Chat;

internal static class ChatEndpoints
{
    public static IServiceCollection AddChat(this IServiceCollection services) =>
        services.AddJson(ChatContext.Default);

    public static RouteGroupBuilder MapChatEndpoints(this RouteGroupBuilder group)
    {
        group.MapChat("/chat");
        return group;
    }

    /// <summary>The same under a path of the host's choice.</summary>
    public static void MapChat(this IEndpointRouteBuilder endpoints, string path) =>
        endpoints.MapPost(path, AnswerAsync)
            .WithTags("Chat")
            .WithSummary("Ask a model; with \"stream\": true as server-sent events")
            .WithMetadata(BodyLimit.Api, TokenCost.Chat, new NotAudited("A question to a model changes nothing."))
            .RequireScope(Scopes.Llm)
            .RequireRole(Role.Member)
            .Produces<Envelope<ChatData>>(StatusCodes.Status200OK, "application/json", "text/event-stream")
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status503ServiceUnavailable);

    private static async Task<IResult> AnswerAsync(
        JsonBody<ChatBody> body, Caller caller, InferenceClient inference, TimeProvider time, HttpContext context,
        CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var call = caller.Call(context.Request.Path.Value!, context.Request.CacheControl(CacheControl.Always));
        var request = body.Value.ToRequest(call);
        caller.Models?.Check(request.Model);
        if (body.Value.Stream is true)
        {
            // Up to the first piece of the answer a failure still gets a status of its own.
            var deltas = inference.StreamChatAsync(request, cancellationToken).GetAsyncEnumerator(cancellationToken);
            try
            {
                await deltas.MoveNextAsync();
            }
            catch
            {
                await deltas.DisposeAsync();
                throw;
            }

            CacheAnswer.Write(context.Response, call.Outcome);
            return new ChatStream(deltas, completion => ToData(completion));
        }

        var completion = await inference.ChatAsync(request, cancellationToken);
        CacheAnswer.Write(context.Response, call.Outcome);
        return TypedResults.Ok(Envelope.Of(ToData(completion)));

        ChatData ToData(ChatCompletion completion)
        {
            TokenMeter.Of(context)?.Report(completion.Usage);
            return ChatData.From(completion, call.Outcome, time.GetElapsedTime(started), ErrorBodies.TraceId(context));
        }
    }
}
