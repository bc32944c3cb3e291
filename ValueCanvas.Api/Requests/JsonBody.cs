using System.Buffers;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Requests;

/// <summary>A JSON body, read within its limit and valid; an endpoint asks for it as a parameter.</summary>
/// <remarks>The framework's own binding answers malformed JSON with an empty 400; here the answer says where and what.</remarks>
internal sealed record JsonBody<T>(T Value) : IEndpointParameterMetadataProvider where T : class
{
    /// <exception cref="RequestException">400 or 413, with what to change.</exception>
    public static async ValueTask<JsonBody<T>?> BindAsync(HttpContext context)
    {
        var bytes = await ReadAsync(context);
        var options = context.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        var value = Read(context, bytes.Span, (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T)));
        var errors = new RequestErrors();
        (value as IRequestBody)?.Validate(errors);
        return errors.Any ? throw RequestException.Invalid(errors.ToDictionary()) : new JsonBody<T>(value);
    }

    /// <summary>
    /// A body is JSON whatever its Content-Type says: curl -d calls everything a form. What a browser sends by itself, a cookie, is not
    /// enough for a change: see <see cref="Protection.CrossSite"/>.
    /// </summary>
    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder) =>
        builder.Metadata.Add(new AcceptsMetadata(["application/json", "*/*"], typeof(T), isOptional: false));

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        var limit = BodyLimit.Of(context);
        limit.CheckLength(context);
        var body = new ArrayBufferWriter<byte>((int)(context.Request.ContentLength + 1 ?? 4096));
        int read;
        while ((read = await context.Request.Body.ReadAsync(body.GetMemory(), context.RequestAborted)) > 0)
        {
            body.Advance(read);
            if (body.WrittenCount > limit.Bytes)
                throw limit.TooLarge();
        }

        return body.WrittenMemory;
    }

    // No JSON, of the wrong shape, or with a field that nobody may set: a client that is broken, or somebody who tries what happens.
    private static T Read(HttpContext context, ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            return Parse(json, type);
        }
        catch (RequestException)
        {
            Suspicion.Raise(context, "body");
            throw;
        }
    }

    private static T Parse(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        if (json.StartsWith("\uFEFF"u8))
            json = json[3..];
        if (json.IsEmpty)
            throw new RequestException(StatusCodes.Status400BadRequest, "The body is empty. Send a JSON object.");
        if (!Utf8.IsValid(json))
            throw new RequestException(StatusCodes.Status400BadRequest, "The body is not valid UTF-8. Send JSON encoded as UTF-8.");
        try
        {
            return JsonSerializer.Deserialize(json, type)
                ?? throw new RequestException(StatusCodes.Status400BadRequest, "The body is null. Send a JSON object.");
        }
        catch (JsonException e)
        {
            throw JsonProblems.Explain(e, type);
        }
    }
}
