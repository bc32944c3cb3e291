using System.Net.Http.Headers;
using ValueCanvas.InferenceProxy.Messages;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>The client's request as one target gets it: at the provider's path, with the target's model and the provider's key.</summary>
internal static class UpstreamRequest
{
    private const int LargeBody = 1024 * 1024;

    public static ReplicaRequest Build(
        HttpContext context, RequestBody body, ForwardedCall call, Attempt attempt, ModelTarget target, StreamAdditions added,
        Credential? credential, TimeProvider time)
    {
        var (operation, peek, messages) = (call.Operation, call.Peek, call.Translation.Messages);
        var kind = attempt.Replica.Upstream.Kind;
        var request = attempt.Replica.Request(HttpMethod.Post, kind.PathOf(operation));
        if (!kind.IsAnthropic)
        {
            var edits = ModelEdit(peek, target);
            if (messages is not null && kind.LimitsByCompletionTokens)
                edits.Add(MessagesRequest.LimitByCompletionTokens(peek));

            added.Splice(body.Bytes.Span, peek.Options, edits);
            CacheSalt.Splice(body.Bytes.Span, peek.Fields, kind, call.Caller, call.Topology.Options.InternalKey, edits);
            request.Content = new ForwardedBody(body.Bytes, edits, attempt.Link);
        }
        else if (messages is not null)
        {
            request.Content = new ForwardedBody(messages.Body, ModelEdit(messages.Peek, target));
            if (operation == InferenceOperation.Chat)
                request.Exchange = new AnthropicExchange(wantsUsage: true, native: true, time);
        }
        else
        {
            request.Content = new ByteArrayContent(call.Translation.ForAnthropic(target))
            {
                Headers = { ContentType = new MediaTypeHeaderValue("application/json") },
            };
            request.Exchange = new AnthropicExchange(added.Usage || peek.Options.WantsUsage, native: false, time);
        }

        Address(context, request, attempt, credential);
        if (body.Bytes.Length > LargeBody)
        {
            // A server that refuses a large body closes while it is sent, and its refusal would be lost: let it answer first.
            request.Headers.ExpectContinue = true;
        }

        return request;
    }

    /// <summary>The request that lets a broken stream go on.</summary>
    public static ReplicaRequest Build(
        HttpContext context, ResumeRequest resume, ForwardedCall call, Attempt attempt, Credential? credential)
    {
        var kind = attempt.Replica.Upstream.Kind;
        var request = attempt.Replica.Request(HttpMethod.Post, kind.PathOf(resume.Operation));
        var edits = new List<BodyEdit>();
        CacheSalt.Splice(resume.Body, call.Peek.Fields, kind, call.Caller, call.Topology.Options.InternalKey, edits);
        request.Content = new ForwardedBody(resume.Body, edits, attempt.Link);
        Address(context, request, attempt, credential);
        return request;
    }

    private static void Address(HttpContext context, HttpRequestMessage request, Attempt attempt, Credential? credential)
    {
        ForwardedHeaders.ToReplica(context.Request, request, attempt.Span);
        attempt.Replica.Upstream.Kind.Authorize(request, credential);
    }

    private static List<BodyEdit> ModelEdit(RequestPeek peek, ModelTarget target) =>
        target.Model == peek.Model ? [] : [new BodyEdit(peek.ModelStart, peek.ModelEnd, target.Json)];
}
