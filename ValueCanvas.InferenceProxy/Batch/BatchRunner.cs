using System.Text.Json;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Batch;

/// <summary>Sends each request of a batch the way it would go alone: routed, admitted and tried again like any other.</summary>
internal sealed partial class BatchRunner(Forwarder forwarder, ILogger<BatchRunner> logger)
{
    /// <summary>The answers in the requests' order. One that fails is an answer like the others.</summary>
    public async Task<BatchAnswer[]> RunAsync(HttpContext context, BatchRequest batch, BatchOptions options)
    {
        var answers = new BatchAnswer[batch.Requests.Count];
        var budget = new AnswerBudget(options.MaxAnswerBytes);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = batch.Concurrency, CancellationToken = context.RequestAborted };
        await Parallel.ForEachAsync(Enumerable.Range(0, answers.Length), parallel, async (i, cancellationToken) =>
            answers[i] = await AnswerAsync(context, batch.Requests[i], budget, cancellationToken));
        return answers;
    }

    private async ValueTask<BatchAnswer> AnswerAsync(
        HttpContext context, ReadOnlyMemory<byte> body, AnswerBudget budget, CancellationToken cancellationToken)
    {
        if (RequestPeek.Read(body.Span, out var peek) is { } malformed)
            return BatchAnswer.Of(malformed);

        if (peek.Stream)
        {
            return BatchAnswer.Of(
                ProxyError.BadRequest("A request of a batch cannot be streamed: leave 'stream' out, or send it alone.", "stream"));
        }

        await using var answer = new BoundedAnswer(budget);
        var single = Single(context, body, answer, cancellationToken);
        try
        {
            await forwarder.ForwardAsync(single, InferenceOperation.Chat);
            return new BatchAnswer(single.Response.StatusCode, answer.ToArray());
        }
        catch (AnswerTooLargeException)
        {
            return BatchAnswer.Of(ProxyError.AnswerTooLarge);
        }
        catch (BrokenAnswerException)
        {
            return BatchAnswer.Of(ProxyError.AnswerInterrupted);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.Unexpected(logger, e);
            return BatchAnswer.Of(ProxyError.Internal);
        }
    }

    /// <summary>The request as if it had come alone: with the batch's headers, which say who asks, a body of its own, and an answer that is
    /// kept.</summary>
    private static DefaultHttpContext Single(
        HttpContext context, ReadOnlyMemory<byte> body, Stream answer, CancellationToken cancellationToken)
    {
        var single = new DefaultHttpContext { RequestAborted = cancellationToken, RequestServices = context.RequestServices };
        single.Request.Method = HttpMethods.Post;
        single.Request.Path = InferenceOperation.Chat.Path;
        foreach (var (name, values) in context.Request.Headers)
            single.Request.Headers[name] = values;

        single.Request.ContentLength = body.Length;
        single.Request.ContentType = "application/json";
        single.Request.Body = new MemoryStream(body.ToArray(), writable: false);
        single.Response.Body = answer;
        return single;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The proxy failed on a request of a batch")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}

/// <summary>One answer of a batch: what the request would have got alone.</summary>
internal readonly record struct BatchAnswer(int Status, byte[] Body)
{
    public static BatchAnswer Of(ProxyError error) => new(error.Status, error.ToJson());

    public bool IsJson
    {
        get
        {
            try
            {
                var reader = new Utf8JsonReader(Body, new JsonReaderOptions { MaxDepth = 256 });
                while (reader.Read())
                    reader.Skip();

                return Body.Length > 0;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }
}
