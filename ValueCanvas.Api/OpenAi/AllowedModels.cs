using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.OpenAi;

/// <summary>Holds requests under /v1 against the models that an API key may use; only for keys that may not use all.</summary>
internal static class AllowedModels
{
    // Deeper than any request, and shallow enough to be read.
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 256 };

    /// <summary>Reads the body into memory and puts it back, so that what is checked is what is sent on.</summary>
    /// <exception cref="RequestException">403: another model; 400: what cannot be read cannot be allowed.</exception>
    public static async Task CheckBodyAsync(HttpContext context, ModelAllowList models)
    {
        if (context.Request.Headers.ContentEncoding.Count > 0)
            throw Unreadable("Send it without Content-Encoding.");
        var limit = BodyLimit.Of(context);
        var body = new ArrayBufferWriter<byte>((int)(context.Request.ContentLength + 1 ?? 4096));
        int read;
        while ((read = await context.Request.Body.ReadAsync(body.GetMemory(), context.RequestAborted)) > 0)
        {
            body.Advance(read);
            if (body.WrittenCount > limit.Bytes)
                throw limit.TooLarge();
        }

        var asked = ModelsOf(body.WrittenSpan);
        foreach (var model in asked is { Count: > 0 } ? asked : [ChatRequest.DefaultModel])
            models.Check(model);
        context.Request.Body = new MemoryStream(body.WrittenMemory.ToArray(), writable: false);
    }

    /// <exception cref="RequestException">404: to whoever may not use a model, it is not there.</exception>
    public static void CheckRoute(HttpContext context, ModelAllowList models)
    {
        if (context.Request.RouteValues["model"] is string model && !models.Allows(model))
        {
            throw new RequestException(
                StatusCodes.Status404NotFound,
                $"There is no model '{model}' for this API key. It may use: {string.Join(", ", models.Names)}.")
            {
                Code = "model_not_found",
            };
        }
    }

    /// <summary>OpenAI's list with the others left out.</summary>
    public static byte[] Filter(byte[] list, ModelAllowList models)
    {
        if (JsonNode.Parse(list) is not JsonObject document || document["data"] is not JsonArray data)
            return list;
        foreach (var item in data.ToArray())
        {
            if (item?["id"]?.GetValueKind() != JsonValueKind.String || !models.Allows(item["id"]!.GetValue<string>()))
                data.Remove(item);
        }

        return Encoding.UTF8.GetBytes(document.ToJsonString());
    }

    // Every one, where a body names several: whichever the server takes, it is allowed.
    private static List<string> ModelsOf(ReadOnlySpan<byte> json)
    {
        List<string> found = [];
        if (json.StartsWith("\uFEFF"u8))
            json = json[3..];
        var reader = new Utf8JsonReader(json, Reading);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw Unreadable("It must be a JSON object.");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isModel = reader.ValueTextEquals("model"u8);
                reader.Read();
                if (!isModel)
                    reader.Skip();
                else if (reader.TokenType == JsonTokenType.String)
                    found.Add(reader.GetString()!);
                else
                    throw Unreadable("model must be a string.");
            }

            // Nothing after the object.
            while (reader.Read())
            {
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw Unreadable("It must be JSON.");
        }

        return found;
    }

    private static RequestException Unreadable(string what) => new(
        StatusCodes.Status400BadRequest,
        $"This API key may use some models only, and the body does not tell which model it is for. {what}");
}
