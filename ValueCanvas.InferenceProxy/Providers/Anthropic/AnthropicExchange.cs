using System.Net.Http.Headers;
using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>Goes with a request to Anthropic and turns the response into what an OpenAI-compatible server would have answered, so that
/// nothing behind the upstream client knows the difference.</summary>
/// <param name="wantsUsage">A stream's usage was asked for.</param>
/// <param name="native">The client speaks Anthropic's language: what came goes along for it, where others read over it.</param>
/// <param name="time">When it was answered.</param>
internal sealed class AnthropicExchange(bool wantsUsage, bool native, TimeProvider time)
{
    /// <summary>The property of a whole answer that holds it as it came.</summary>
    public const string Native = "native";

    private const int LargestAnswer = 32 * 1024 * 1024;

    /// <summary>The field of an event that holds Anthropic's own.</summary>
    public static ReadOnlySpan<byte> NativeField => "native:"u8;

    public async Task<HttpResponseMessage> TranslateAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var created = time.GetUtcNow().ToUnixTimeSeconds();
        if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            var source = await response.Content.ReadAsStreamAsync(cancellationToken);
            var events = new AnthropicEventStream(source, new AnthropicChunks(created, wantsUsage), native);
            Replace(response, new StreamContent(events), "text/event-stream");
            return response;
        }

        await response.Content.LoadIntoBufferAsync(LargestAnswer, cancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        try
        {
            Replace(response, new ByteArrayContent(response.IsSuccessStatusCode
                ? AnthropicAnswer.Translate(body, created, native)
                : AnthropicAnswer.TranslateError(body, response.StatusCode)), "application/json");
        }
        catch (JsonException e)
        {
            throw new IOException("The provider's answer is no message.", e);
        }

        return response;
    }

    private static void Replace(HttpResponseMessage response, HttpContent content, string type)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        content.Headers.ContentLength = content.Headers.ContentLength; // computed when asked for, and otherwise not sent on
        response.Content = content;
    }
}
