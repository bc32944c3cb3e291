using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Batch;

internal static class BatchEndpoints
{
    public static IServiceCollection AddBatch(this IServiceCollection services)
    {
        services.AddSingleton<BatchRunner>();
        return services;
    }

    /// <summary><c>POST /v1/chat/completions/batch</c>: <c>{"requests":[…],"max_concurrency":n}</c> →
    /// <c>{"object":"batch","results":[{"index":0,"status":200,"body":{…}},…]}</c>, in the requests' order.</summary>
    public static IEndpointRouteBuilder MapBatchEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/v1/chat/completions/batch", (Fleet fleet, BatchRunner runner, HttpContext context) =>
            AnswerAsync(fleet, runner, context));
        return endpoints;
    }

    private static async Task AnswerAsync(Fleet fleet, BatchRunner runner, HttpContext context)
    {
        var options = fleet.Current.Options;
        using var body = new RequestBody();
        try
        {
            if (await body.ReadAsync(context, options.MaxBodyBytes) is { } unread)
                await unread.WriteAsync(context);
            else if (BatchRequest.Read(body.Bytes, options.Batch, out var batch) is { } malformed)
                await malformed.WriteAsync(context);
            else
                await WriteAsync(await runner.RunAsync(context, batch, options.Batch), context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone; the requests under way were cancelled with it.
        }
    }

    private static async Task WriteAsync(BatchAnswer[] answers, HttpContext context)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("object"u8, "batch"u8);
        json.WriteStartArray("results"u8);
        for (var i = 0; i < answers.Length; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("index"u8, i);
            json.WriteNumber("status"u8, answers[i].Status);
            json.WritePropertyName("body"u8);
            if (answers[i].IsJson)
                json.WriteRawValue(answers[i].Body, skipInputValidation: true);
            else
                json.WriteStringValue(System.Text.Encoding.UTF8.GetString(answers[i].Body));

            json.WriteEndObject();
            await json.FlushAsync(context.RequestAborted);
            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
