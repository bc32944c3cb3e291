using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Responses;

/// <summary>How answers are written: other scripts and quotes as they are, not as escapes. Safe, for no answer is put into HTML.</summary>
internal static class JsonText
{
    public static JsonSerializerOptions Options =>
        new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static IServiceCollection AddJsonText(this IServiceCollection services) =>
        services.ConfigureHttpJsonOptions(options => options.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping);

    /// <summary>Bodies and answers of these types are read and written by generated code.</summary>
    public static IServiceCollection AddJson(this IServiceCollection services, JsonSerializerContext types) =>
        services.ConfigureHttpJsonOptions(options => options.SerializerOptions.TypeInfoResolverChain.Insert(0, types));
}
