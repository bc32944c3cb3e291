using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.OpenAi;
using ValueCanvas.VllmSimulator.OpenAi.Chat;

namespace ValueCanvas.VllmSimulator.Tokenization;

internal sealed class TokenizeRequest
{
    public string? Model { get; set; }

    public string? Prompt { get; set; }

    public List<ChatMessage>? Messages { get; set; }

    public List<ToolDefinition>? Tools { get; set; }

    public bool? AddGenerationPrompt { get; set; }

    public bool? ContinueFinalMessage { get; set; }

    public bool? AddSpecialTokens { get; set; }

    public bool? ReturnTokenStrs { get; set; }
}

internal sealed class DetokenizeRequest
{
    public string? Model { get; set; }

    public List<int>? Tokens { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TokenizeRequest))]
[JsonSerializable(typeof(DetokenizeRequest))]
internal sealed partial class TokenizationJson : JsonSerializerContext;

internal static class TokenizationEndpoints
{
    public static void MapTokenizationEndpoints(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/tokenize", TokenizeAsync);
        routes.MapPost("/detokenize", DetokenizeAsync);
    }

    private static async Task TokenizeAsync(HttpContext context, IOptions<SimulatorOptions> options)
    {
        var (request, error) = await JsonBody.ReadAsync(context.Request, TokenizationJson.Default.TokenizeRequest, context.RequestAborted);
        if (request is not null && !options.Value.Serves(request.Model))
            error = ApiError.UnknownModel(request.Model!);
        var text = request?.Prompt;
        if (error is null && request!.Messages is not null)
        {
            (var prompt, error) = ChatPrompt.Read(new ChatRequest
            {
                Messages = request.Messages,
                Tools = request.Tools,
                AddGenerationPrompt = request.AddGenerationPrompt,
                ContinueFinalMessage = request.ContinueFinalMessage,
            });
            text = prompt?.Text;
        }
        if (error is null && text is null)
            error = ApiError.BadRequest("Give either 'prompt' (a string) or 'messages'.", "prompt");
        if (error is not null)
        {
            await ErrorWriter.WriteAsync(context.Response, error, context.RequestAborted);
            return;
        }

        var tokens = Tokenizer.Encode(text!);
        if (request!.Messages is null && request.AddSpecialTokens != false)
            tokens = [Tokenizer.BeginOfText, .. tokens];
        await WriteAsync(context, json =>
        {
            json.WriteNumber("count", tokens.Length);
            json.WriteNumber("max_model_len", options.Value.MaxModelLen);
            Reply.WriteIds(json, "tokens", tokens);
            if (request.ReturnTokenStrs == true)
            {
                json.WriteStartArray("token_strs");
                foreach (var token in tokens)
                    json.WriteStringValue(Tokenizer.Decode(token));
                json.WriteEndArray();
            }
            else
            {
                json.WriteNull("token_strs");
            }
        });
    }

    private static async Task DetokenizeAsync(HttpContext context, IOptions<SimulatorOptions> options)
    {
        var (request, error) = await JsonBody.ReadAsync(context.Request, TokenizationJson.Default.DetokenizeRequest, context.RequestAborted);
        if (request is not null && !options.Value.Serves(request.Model))
            error = ApiError.UnknownModel(request.Model!);
        else if (request is not null && request.Tokens is null)
            error = ApiError.BadRequest("'tokens' is required: an array of token ids.", "tokens");
        else if (request is not null && !request.Tokens!.TrueForAll(Tokenizer.IsKnown))
            error = ApiError.BadRequest("'tokens' has ids that are out of vocabulary.", "tokens");
        if (error is not null)
        {
            await ErrorWriter.WriteAsync(context.Response, error, context.RequestAborted);
            return;
        }

        var tokens = request!.Tokens!;
        var text = Tokenizer.Decode([.. tokens is [Tokenizer.BeginOfText, ..] ? tokens.Skip(1) : tokens]);
        await WriteAsync(context, json => json.WriteString("prompt", text));
    }

    private static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
    }
}
