using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Generation;
using ValueCanvas.VllmSimulator.Generation.Schemas;

namespace ValueCanvas.VllmSimulator.OpenAi.Completions;

internal static class CompletionEndpoints
{
    private const int DefaultMaxTokens = 16;

    public static void MapCompletionEndpoints(this IEndpointRouteBuilder routes) => routes.MapPost("/v1/completions", HandleAsync);

    private static Task HandleAsync(HttpContext context, ReplyWriter writer, IOptions<SimulatorOptions> options, TimeProvider time) =>
        writer.AnswerAsync(context, OpenAiJson.Default.TextRequest, request => Prepare(request, options.Value, time));

    private static (Reply? Reply, IReplyShape? Shape, ApiError? Error) Prepare(
        TextRequest request, SimulatorOptions options, TimeProvider time)
    {
        if (RequestRules.Check(request, options) is { } wrong)
            return (null, null, wrong);
        if (request.Suffix is { Length: > 0 })
            return (null, null, ApiError.BadRequest("suffix is not currently supported", "suffix"));

        var (inputs, error) = PromptInput.Read(request.Prompt, "prompt", beginOfText: true);
        if (inputs is null)
            return (null, null, error);
        var (format, wrongFormat) = OutputFormat.Read(request.ResponseFormat, request.StructuredOutputs);
        if (format is null)
            return (null, null, ApiError.BadRequest(wrongFormat!, "response_format"));

        var (sampling, limit) =
            RequestRules.Sampling(request, request.MaxTokens, DefaultMaxTokens, inputs.Max(input => input.Tokens.Length), options,
            request.Logprobs);
        if (sampling is null)
            return (null, null, limit);

        try
        {
            var completions = inputs.SelectMany(input => PlainPrompt.Answer(input.Text, format, sampling)).ToArray();
            var reply = Replies.Create("cmpl-", request, options, time, [.. inputs.Select(input => input.Tokens)], completions, sampling);
            return (reply, new TextShape(request.Echo == true ? [.. inputs.Select(input => input.Text)] : []), null);
        }
        catch (UnsupportedSchemaException e)
        {
            return (null, null, ApiError.BadRequest(e.Message, "structured_outputs"));
        }
    }
}
