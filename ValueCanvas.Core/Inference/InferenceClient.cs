using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Core.Inference;

/// <summary>The only way from Api and Worker to a model: the inference proxy at <c>http://inference</c>.</summary>
/// <remarks>
/// Every method throws <see cref="InferenceException"/> for what the other side does wrong, and <see cref="OperationCanceledException"/>
/// only where the caller cancelled. Nothing is retried here: the proxy does that, which knows the replicas.
/// </remarks>
public sealed class InferenceClient(IHttpClientFactory clients, IOptions<InferenceOptions> options, TimeProvider time)
{
    /// <summary>Name of the HTTP client, for configuration by the host.</summary>
    public const string HttpClientName = "inference";

    /// <summary>The proxy's response header that says which provider answered.</summary>
    public const string ProviderHeader = "x-valuecanvas-provider";

    private const string ChatPath = "v1/chat/completions";

    private readonly InferenceOptions _options = options.Value;

    /// <summary>Asks for a whole answer.</summary>
    public async Task<ChatCompletion> ChatAsync(ChatRequest request, CancellationToken cancellationToken)
    {
        using var bound = new ProgressBound(_options.ResponseTimeout, "an answer", time, cancellationToken);
        try
        {
            using var response = await SendChatAsync(request, streamed: false, bound.Token);
            bound.Next(_options.IdleTimeout, "the rest of an answer");
            var answer = await response.Content.ReadFromJsonAsync(WireContext.Default.WireAnswer, bound.Token);
            if (answer?.Choices is not [{ Message: { } message } choice, ..])
                throw InferenceErrors.Unreadable();
            return new ChatCompletion(
                message.Content ?? message.Refusal ?? "",
                answer.Model ?? request.Model,
                ProviderOf(response),
                choice.FinishReason ?? "stop",
                answer.Usage?.ToUsage());
        }
        catch (OperationCanceledException e) when (bound.Expired)
        {
            throw bound.ToException(e);
        }
        catch (Exception e) when (Failure(e, cancellationToken) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>
    /// Asks for an answer piece by piece. The last item, and only that, carries the completion; a stream that ends without one has thrown.
    /// </summary>
    public async IAsyncEnumerable<ChatDelta> StreamChatAsync(
        ChatRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var bound = new ProgressBound(_options.FirstEventTimeout, "the first event of a stream", time, cancellationToken);
        using var response = await Guarded(() => SendChatAsync(request, streamed: true, bound.Token), bound, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(bound.Token);
        await using var events = SseParser.Create(body).EnumerateAsync(bound.Token).GetAsyncEnumerator(bound.Token);

        var text = new StringBuilder();
        var model = request.Model;
        string? finishReason = null;
        TokenUsage? usage = null;
        while (await Guarded(() => events.MoveNextAsync().AsTask(), bound, cancellationToken))
        {
            bound.Next(_options.IdleTimeout, "the next event of a stream");
            if (events.Current.Data == "[DONE]")
            {
                if (finishReason is null)
                    break;
                yield return new ChatDelta("", new ChatCompletion(text.ToString(), model, ProviderOf(response), finishReason, usage));
                yield break;
            }

            var chunk = ReadChunk(events.Current.Data);
            model = chunk.Model ?? model;
            usage = chunk.Usage?.ToUsage() ?? usage;
            if (chunk.Choices is not [{ } choice, ..])
                continue;
            finishReason = choice.FinishReason ?? finishReason;
            if ((choice.Delta?.Content ?? choice.Delta?.Refusal) is { Length: > 0 } piece)
            {
                text.Append(piece);
                yield return new ChatDelta(piece);
            }
        }

        throw InferenceErrors.BrokenOff();
    }

    /// <summary>
    /// Sends a request of the OpenAI-compatible API on as it is and returns as soon as the headers are there, whatever the status.
    /// The caller reads and disposes the response; its relative address is taken below the proxy's.
    /// </summary>
    public async Task<HttpResponseMessage> ForwardAsync(
        HttpRequestMessage request, InferenceCall call, CancellationToken cancellationToken)
    {
        Attach(call, request);
        using var bound = new ProgressBound(_options.ResponseTimeout, "an answer", time, cancellationToken);
        return await Guarded(
            () => clients.CreateClient(HttpClientName).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, bound.Token),
            bound,
            cancellationToken);
    }

    private async Task<HttpResponseMessage> SendChatAsync(ChatRequest request, bool streamed, CancellationToken cancellationToken)
    {
        var wire = new WireRequest(
            request.Model,
            request.Messages,
            request.Temperature,
            request.MaxTokens,
            request.Schema is { } schema ? new("json_schema", new(schema.Name, schema.Schema, Strict: true)) : null,
            request.User,
            streamed ? true : null,
            streamed ? new(IncludeUsage: true) : null);
        using var message = new HttpRequestMessage(HttpMethod.Post, ChatPath)
        {
            Content = JsonContent.Create(wire, WireContext.Default.WireRequest),
        };
        if (request.Call is { } call)
            Attach(call, message);
        if (request.RiskLevel is { } risk)
            message.Headers.TryAddWithoutValidation(InferenceHeaders.Risk, risk);
        var response = await clients.CreateClient(HttpClientName)
            .SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw await InferenceErrors.FromResponseAsync(response, time, cancellationToken);
    }

    private static void Attach(InferenceCall call, HttpRequestMessage request)
    {
        call.AttachTo(request);
        request.Headers.TryAddWithoutValidation(InferenceHeaders.Tenant, call.TenantId.ToString());
    }

    private static WireAnswer ReadChunk(string data)
    {
        WireAnswer? chunk;
        try
        {
            chunk = JsonSerializer.Deserialize(data, WireContext.Default.WireAnswer);
        }
        catch (JsonException e)
        {
            throw InferenceErrors.Unreadable(e);
        }

        if (chunk?.Error is { } error)
            throw InferenceErrors.FromEvent(error);
        return chunk ?? throw InferenceErrors.Unreadable();
    }

    private static async Task<T> Guarded<T>(Func<Task<T>> step, ProgressBound bound, CancellationToken cancellationToken)
    {
        try
        {
            return await step();
        }
        catch (OperationCanceledException e) when (bound.Expired)
        {
            throw bound.ToException(e);
        }
        catch (Exception e) when (Failure(e, cancellationToken) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>Null where the exception is already the right one, or none of the other side's doing.</summary>
    private static InferenceException? Failure(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        InferenceException or OperationCanceledException => null,
        _ when cancellationToken.IsCancellationRequested => null,
        JsonException => InferenceErrors.Unreadable(exception),
        // Something that the sender's own content threw (a body over its limit, a client that left) is not the proxy's failure.
        HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: IOException { InnerException: null } } => null,
        HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } => InferenceErrors.BrokenOff(exception),
        HttpRequestException e => InferenceErrors.Unreachable(e),
        IOException => InferenceErrors.BrokenOff(exception),
        _ => null,
    };

    private static string? ProviderOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues(ProviderHeader, out var values) ? values.FirstOrDefault() : null;
}
