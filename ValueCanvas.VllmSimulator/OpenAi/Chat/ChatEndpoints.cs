using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Generation;
using ValueCanvas.VllmSimulator.Generation.Schemas;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator.OpenAi.Chat;

internal static class ChatEndpoints
{
    public static void MapChatEndpoints(this IEndpointRouteBuilder routes) => routes.MapPost("/v1/chat/completions", HandleAsync);

    private static Task HandleAsync(HttpContext context, ReplyWriter writer, IOptions<SimulatorOptions> options, TimeProvider time) =>
        writer.AnswerAsync(context, OpenAiJson.Default.ChatRequest, request => Prepare(request, options.Value, time));

    private static (Reply? Reply, IReplyShape? Shape, ApiError? Error) Prepare(
        ChatRequest request, SimulatorOptions options, TimeProvider time)
    {
        if (RequestRules.Check(request, options) is { } wrong)
            return (null, null, wrong);
        if (request.TopLogprobs is > 0 && request.Logprobs != true)
            return (null, null, ApiError.BadRequest("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs"));

        var (prompt, error) = ChatPrompt.Read(request);
        if (prompt is null)
            return (null, null, error);

        var tokens = Tokenizer.Encode(prompt.Text);
        var (sampling, limit) =
            RequestRules.Sampling(request, request.MaxCompletionTokens ?? request.MaxTokens, null, tokens.Length, options,
            request.Logprobs == true ? request.TopLogprobs ?? 0 : null);
        if (sampling is null)
            return (null, null, limit);

        try
        {
            var completions = Answerer.Answer(prompt.Question, sampling);
            var reply = Replies.Create("chatcmpl-", request, options, time, [tokens], completions, sampling);
            return (reply, new ChatShape(request.Echo == true ? prompt.Question.Answered : ""), null);
        }
        catch (UnsupportedSchemaException e)
        {
            return (null, null, ApiError.BadRequest(e.Message, "response_format"));
        }
    }
}
