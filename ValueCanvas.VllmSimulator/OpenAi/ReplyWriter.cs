using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Faults;

namespace ValueCanvas.VllmSimulator.OpenAi;

/// <summary>How one of the two APIs writes a reply: as a whole, and as chunks.</summary>
internal interface IReplyShape
{
    void WriteWhole(Utf8JsonWriter json, Reply reply);

    /// <summary>Whether a chunk comes before a choice's first token.</summary>
    bool HasOpening { get; }

    /// <summary>Whether a token brings a chunk: text, the head of a tool call, or the end.</summary>
    bool HasText(Reply reply, int choice, int token);

    void WriteOpening(Utf8JsonWriter json, Reply reply, int choice, bool usage);

    void WriteToken(Utf8JsonWriter json, Reply reply, int choice, int token, int? completionTokens);

    void WriteFinalUsage(Utf8JsonWriter json, Reply reply);
}

/// <summary>Runs a reply through the engine and sends it as its tokens come out. Whoever leaves frees what the reply held.</summary>
internal sealed class ReplyWriter(InferenceEngine engine, TimeProvider time)
{
    private static readonly JsonWriterOptions Options =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private static ReadOnlySpan<byte> Data => "data: "u8;

    /// <summary>Reads a request, and answers it or says what is wrong with it.</summary>
    public async Task AnswerAsync<TRequest>(
        HttpContext context, JsonTypeInfo<TRequest> type, Func<TRequest, (Reply? Reply, IReplyShape? Shape, ApiError? Error)> prepare)
        where TRequest : GenerationRequest
    {
        var (request, error) = await JsonBody.ReadAsync(context.Request, type, context.RequestAborted);
        if (request is not null)
        {
            (var reply, var shape, error) = prepare(request);
            if (reply is not null)
            {
                await SendAsync(context, request, reply, shape!);
                return;
            }
        }

        await ErrorWriter.WriteAsync(context.Response, error!, context.RequestAborted);
    }

    private async Task SendAsync(HttpContext context, GenerationRequest request, Reply reply, IReplyShape shape)
    {
        var cancellationToken = context.RequestAborted;
        try
        {
            await engine.DelayForOverheadAsync(reply.PromptTokens, cancellationToken);
            engine.Submit(reply.Sequences);
            if (request.Stream == true)
                await StreamAsync(context, request, reply, shape, cancellationToken);
            else
                await SendWholeAsync(context, reply, shape, cancellationToken);
            RequestTelemetry.Tag(reply, request);
        }
        finally
        {
            engine.Abort(reply.Sequences);
        }
    }

    private async Task SendWholeAsync(HttpContext context, Reply reply, IReplyShape shape, CancellationToken cancellationToken)
    {
        foreach (var sequence in reply.Sequences)
            await sequence.WaitAsync(int.MaxValue, cancellationToken);

        var fault = FaultInjector.Of(context);
        if (fault?.StallAfter is not null)
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);

        var body = context.Response.BodyWriter;
        context.Response.ContentType = "application/json";
        if (fault is { CutAfter: null, MalformedAfter: null } or null)
        {
            await using var json = new Utf8JsonWriter(body, Options);
            shape.WriteWhole(json, reply);
            return;
        }

        // Half of the body: with its full length announced and the connection cut, or as if it were all.
        var whole = new ArrayBufferWriter<byte>();
        await using (var json = new Utf8JsonWriter(whole, Options))
            shape.WriteWhole(json, reply);
        if (fault.CutAfter is not null)
            context.Response.ContentLength = whole.WrittenCount;
        await body.WriteAsync(whole.WrittenMemory[..(whole.WrittenCount / 2)], cancellationToken);
        if (fault.CutAfter is not null)
            throw new ConnectionCutException();
    }

    private async Task StreamAsync(HttpContext context, GenerationRequest request, Reply reply, IReplyShape shape,
        CancellationToken cancellationToken)
    {
        var fault = FaultInjector.Of(context);
        var continuous = request.StreamOptions?.ContinuousUsageStats == true;
        var body = context.Response.BodyWriter;
        await using var json = new Utf8JsonWriter(body, Options);
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        if (!reply.Sequences[0].Ended)
            await body.FlushAsync(cancellationToken);

        var sent = new int[reply.Sequences.Length];
        var total = 0;
        for (var choice = 0; choice < sent.Length;)
        {
            // 1. The first choice that is not all out says when there is something new; what the others have goes out with it.
            if (sent[choice] == reply.Completions[choice].Tokens.Length)
            {
                choice++;
                continue;
            }
            await reply.Sequences[choice].WaitAsync(sent[choice] + 1, cancellationToken);

            // 2. Every token is an event of its own.
            for (var i = choice; i < sent.Length; i++)
            {
                for (var emitted = reply.Sequences[i].Emitted; sent[i] < emitted; sent[i]++, total++)
                {
                    if (fault is not null)
                        await FailAsync(fault, total, context, cancellationToken);
                    if (sent[i] == 0 && shape.HasOpening)
                    {
                        body.Write(Data);
                        shape.WriteOpening(json, reply, i, continuous);
                        End(body, json);
                    }
                    if (!shape.HasText(reply, i, sent[i]))
                        continue;
                    body.Write(Data);
                    shape.WriteToken(json, reply, i, sent[i], continuous ? sent[i] + 1 : null);
                    End(body, json);
                }
            }
            await body.FlushAsync(cancellationToken);
        }

        // 3. The bill, and the end.
        if (request.StreamOptions?.IncludeUsage == true)
        {
            body.Write(Data);
            shape.WriteFinalUsage(json, reply);
            End(body, json);
        }
        body.Write("data: [DONE]\n\n"u8);
        await body.FlushAsync(cancellationToken);
    }

    private static void End(IBufferWriter<byte> body, Utf8JsonWriter json)
    {
        json.Flush();
        body.Write("\n\n"u8);
        json.Reset(body);
    }

    private async Task FailAsync(Fault fault, int sent, HttpContext context, CancellationToken cancellationToken)
    {
        var body = context.Response.BodyWriter;
        if (fault.MalformedAfter == sent)
            body.Write("data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\n\n"u8);
        if (fault.StallAfter == sent)
        {
            await body.FlushAsync(cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        }
        if (fault.CutAfter != sent)
            return;

        await body.FlushAsync(cancellationToken);
        throw new ConnectionCutException();
    }
}
