using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.OpenAi.Completions;

namespace ValueCanvas.VllmSimulator.Embeddings;

internal sealed class EmbeddingRequest
{
    public string? Model { get; set; }

    public JsonElement? Input { get; set; }

    public string? EncodingFormat { get; set; }

    public int? Dimensions { get; set; }

    public int? Priority { get; set; }

    public string? CacheSalt { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(EmbeddingRequest))]
internal sealed partial class EmbeddingJson : JsonSerializerContext;

internal static class EmbeddingEndpoints
{
    public static void MapEmbeddingEndpoints(this IEndpointRouteBuilder routes) => routes.MapPost("/v1/embeddings", HandleAsync);

    private static async Task HandleAsync(HttpContext context, InferenceEngine engine, IOptions<SimulatorOptions> options, TimeProvider time)
    {
        var cancellationToken = context.RequestAborted;
        var (request, error) = await JsonBody.ReadAsync(context.Request, EmbeddingJson.Default.EmbeddingRequest, cancellationToken);
        PromptInput[]? inputs = null;
        if (request is not null && (error = Check(request, options.Value)) is null)
            (inputs, error) = PromptInput.Read(request.Input, "input", beginOfText: true);
        if (inputs is not null && inputs.Max(input => input.Tokens.Length) > options.Value.MaxModelLen)
        {
            error = ApiError.BadRequest($"This model's maximum context length is {options.Value.MaxModelLen} tokens. However, you requested "
                + $"{inputs.Max(input => input.Tokens.Length)} tokens in the input for embedding generation. Please reduce the length of the input.", "input");
        }
        if (error is not null)
        {
            await ErrorWriter.WriteAsync(context.Response, error, cancellationToken);
            return;
        }

        // Embedding is a prefill without an answer: it takes its turn in the engine like one.
        var salt = BlockHash.OfSalt(request!.CacheSalt);
        var sequences = Array.ConvertAll(inputs!, input => new Sequence(input.Tokens, [], FinishReason.Stop, request.Priority ?? 0, salt));
        try
        {
            await engine.DelayForOverheadAsync(inputs!.Sum(input => input.Tokens.Length), cancellationToken);
            engine.Submit(sequences);
            foreach (var sequence in sequences)
                await sequence.WaitAsync(int.MaxValue, cancellationToken);
            await WriteAsync(context, request, inputs!, options.Value, time);
        }
        finally
        {
            engine.Abort(sequences);
        }
    }

    private static ApiError? Check(EmbeddingRequest request, SimulatorOptions options)
    {
        if (!options.Serves(request.Model))
            return ApiError.UnknownModel(request.Model!);
        if (request.EncodingFormat is not (null or "float" or "base64"))
            return ApiError.BadRequest("encoding_format must be 'float' or 'base64'.", "encoding_format");
        if (request.Dimensions is { } dimensions && (dimensions < 1 || dimensions > options.EmbeddingDimension))
            return ApiError.BadRequest($"dimensions must be between 1 and {options.EmbeddingDimension}, got {dimensions}.", "dimensions");
        if (request.Priority is { } priority and not 0 && !options.HonoursPriority)
            return ApiError.BadRequest($"Got priority {priority} but Priority scheduling is not enabled.", "priority");
        return null;
    }

    private static async Task WriteAsync(HttpContext context, EmbeddingRequest request, PromptInput[] inputs, SimulatorOptions options, TimeProvider time)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("id", $"embd-{Guid.NewGuid():N}");
        json.WriteString("object", "list");
        json.WriteNumber("created", time.GetUtcNow().ToUnixTimeSeconds());
        json.WriteString("model", request.Model is { Length: > 0 } model ? model : options.Model);
        json.WriteStartArray("data");
        for (var i = 0; i < inputs.Length; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("index", i);
            json.WriteString("object", "embedding");
            WriteVector(json, Vector(inputs[i].Text, request.Dimensions, options), request.EncodingFormat == "base64");
            json.WriteEndObject();
        }
        json.WriteEndArray();
        var tokens = inputs.Sum(input => input.Tokens.Length);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteNumber("completion_tokens", 0);
        json.WriteNull("prompt_tokens_details");
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // As with Matryoshka models: the first coordinates, of length 1 again.
    private static float[] Vector(string text, int? dimensions, SimulatorOptions options)
    {
        var vector = Embedder.Embed(text, options.EmbeddingDimension);
        if (dimensions is null || dimensions == vector.Length)
            return vector;
        vector = vector[..dimensions.Value];
        Embedder.Normalise(vector);
        return vector;
    }

    private static void WriteVector(Utf8JsonWriter json, float[] vector, bool base64)
    {
        if (base64)
        {
            json.WriteBase64String("embedding", MemoryMarshal.AsBytes<float>(vector));
            return;
        }
        json.WriteStartArray("embedding");
        foreach (var value in vector)
            json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
