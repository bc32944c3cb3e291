using System.Net.Http.Headers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>The client's request as one target gets it: at the provider's path, with the target's model and the provider's key.</summary>
internal static class UpstreamRequest
{
    private const int LargeBody = 1024 * 1024;

    /// <summary>The request, or why the provider could not understand it.</summary>
    public static ProxyError? Build(
        HttpContext context, RequestBody body, InferenceOperation operation, RequestPeek peek, Attempt attempt, ModelTarget target,
        StreamAdditions added, Credential? credential, TimeProvider time, out HttpRequestMessage request)
    {
        var kind = attempt.Replica.Upstream.Kind;
        request = new HttpRequestMessage(HttpMethod.Post, attempt.Replica.Address.OriginalString + kind.PathOf(operation));
        if (!kind.IsAnthropic)
        {
            var edits = new List<BodyEdit>();
            if (target.Model != peek.Model)
            {
                edits.Add(new BodyEdit(peek.ModelStart, peek.ModelEnd, target.Json));
            }

            added.Splice(body.Bytes.Span, peek.Options, edits);
            request.Content = new ForwardedBody(body.Bytes, edits);
        }
        else if (AnthropicRequest.TryTranslate(body.Bytes, target.Model, out var translated) is { } untranslatable)
        {
            request.Dispose();
            return untranslatable;
        }
        else
        {
            request.Content = new ByteArrayContent(translated) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            request.Options.Set(AnthropicExchange.Key, new AnthropicExchange(added.Usage || peek.Options.WantsUsage, time));
        }

        ForwardedHeaders.ToReplica(context.Request, request, attempt.Span);
        kind.Authorize(request, credential);
        // A server that refuses a large body closes while it is sent, and its refusal would be lost: let it answer first.
        request.Headers.ExpectContinue = body.Bytes.Length > LargeBody;
        return null;
    }
}
