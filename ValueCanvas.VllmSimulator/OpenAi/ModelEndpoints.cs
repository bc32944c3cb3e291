using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Options;
using ValueCanvas.VllmSimulator.Errors;

namespace ValueCanvas.VllmSimulator.OpenAi;

internal static class ModelEndpoints
{
    public static void MapModelEndpoints(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/models", (HttpContext context, IOptions<SimulatorOptions> options, TimeProvider time) => WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            foreach (var name in options.Value.ServedModelNames.Prepend(options.Value.Model).Distinct())
                WriteCard(json, name, options.Value, time);
            json.WriteEndArray();
            json.WriteEndObject();
        }));
        routes.MapGet("/v1/models/{**model}", (HttpContext context, string model, IOptions<SimulatorOptions> options, TimeProvider time) =>
            options.Value.Serves(model)
                ? WriteAsync(context, json => WriteCard(json, model, options.Value, time))
                : ErrorWriter.WriteAsync(context.Response, ApiError.UnknownModel(model), context.RequestAborted));
    }

    private static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        write(json);
    }

    private static void WriteCard(Utf8JsonWriter json, string name, SimulatorOptions options, TimeProvider time)
    {
        var created = time.GetUtcNow().ToUnixTimeSeconds();
        json.WriteStartObject();
        json.WriteString("id", name);
        json.WriteString("object", "model");
        json.WriteNumber("created", created);
        json.WriteString("owned_by", "vllm");
        json.WriteString("root", options.Model);
        json.WriteNull("parent");
        json.WriteNumber("max_model_len", options.MaxModelLen);
        json.WriteStartArray("permission");
        json.WriteStartObject();
        json.WriteString("id", $"modelperm-{Guid.NewGuid():N}");
        json.WriteString("object", "model_permission");
        json.WriteNumber("created", created);
        json.WriteBoolean("allow_create_engine", false);
        json.WriteBoolean("allow_sampling", true);
        json.WriteBoolean("allow_logprobs", true);
        json.WriteBoolean("allow_search_indices", false);
        json.WriteBoolean("allow_view", true);
        json.WriteBoolean("allow_fine_tuning", false);
        json.WriteString("organization", "*");
        json.WriteNull("group");
        json.WriteBoolean("is_blocking", false);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
