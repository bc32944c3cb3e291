using System.Diagnostics;
using System.Globalization;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Telemetry;

/// <summary>Spans and attribute names of the GenAI semantic conventions.</summary>
internal static class GenAi
{
    public const string Operation = "gen_ai.operation.name";
    public const string Model = "gen_ai.request.model";
    public const string Provider = "gen_ai.provider.name";
    public const string Stream = "gen_ai.request.stream";
    public const string TimeToFirstChunk = "gen_ai.response.time_to_first_chunk";
    public const string ResponseModel = "gen_ai.response.model";
    public const string FinishReasons = "gen_ai.response.finish_reasons";
    public const string InputTokens = "gen_ai.usage.input_tokens";
    public const string OutputTokens = "gen_ai.usage.output_tokens";
    public const string CachedTokens = "gen_ai.usage.cache_read.input_tokens";
    public const string ReasoningTokens = "gen_ai.usage.reasoning.output_tokens";
    public const string Address = "server.address";
    public const string Port = "server.port";
    public const string StatusCode = "http.response.status_code";
    public const string Error = "error.type";
    public const string Target = "valuecanvas.target";
    public const string Hedge = "valuecanvas.hedge";

    private const int MostChoices = 16;

    private static readonly ActivitySource Source = new("ValueCanvas.InferenceProxy");

    /// <summary>The client span of one attempt, or null when nobody listens.</summary>
    public static Activity? StartAttempt(InferenceOperation operation, string model, bool stream, Replica replica)
    {
        // Of a request that is not recorded, neither is this: that spares its name.
        if (!Source.HasListeners() || Activity.Current is { IsAllDataRequested: false }
            || Source.StartActivity($"{operation.Name} {model}", ActivityKind.Client) is not { } span)
        {
            return null;
        }

        span.SetTag(Operation, operation.Name);
        span.SetTag(Model, model);
        span.SetTag(Provider, ProviderName(replica));
        span.SetTag(Stream, stream);
        span.SetTag(Address, replica.Address.Host);
        span.SetTag(Port, replica.Address.Port);
        span.SetTag(Target, replica.Name);
        return span;
    }

    /// <summary>The labels that all metrics of calls have. The model is one that the replica serves, so that their number is
    /// bounded.</summary>
    public static TagList Labels(InferenceOperation operation, string model, Replica replica) => new()
    {
        { Operation, operation.Name }, { Model, model }, { Provider, ProviderName(replica) },
    };

    /// <summary>Who says that it has answered, and of an answer that is no stream why it has ended.</summary>
    /// <param name="span">The attempt's.</param>
    /// <param name="answer">Its first part.</param>
    public static void Answered(this Activity span, ReadOnlySpan<byte> answer)
    {
        if (!span.IsAllDataRequested)
            return;

        if (AnswerField.All(answer, "\"model\""u8, most: 1) is [var model])
            span.SetTag(ResponseModel, model);

        if (AnswerField.All(answer, "\"finish_reason\""u8, MostChoices) is { Length: > 0 } reasons)
            span.SetTag(FinishReasons, reasons);
    }

    /// <summary>Why a stream has ended, and what an answer cost.</summary>
    public static void Ended(this Activity span, string? finishReason, Usage? usage)
    {
        if (finishReason is not null)
            span.SetTag(FinishReasons, new[] { finishReason });

        if (usage is { } cost)
        {
            span.SetTag(InputTokens, cost.PromptTokens);
            span.SetTag(OutputTokens, cost.CompletionTokens);
            SetUnlessZero(CachedTokens, cost.CachedTokens);
            SetUnlessZero(ReasoningTokens, cost.ReasoningTokens);
        }

        void SetUnlessZero(string name, int tokens)
        {
            if (tokens > 0)
                span.SetTag(name, tokens);
        }
    }

    public static void Judge(this Activity span, AttemptFailure failure, int statusCode)
    {
        if (failure is not (AttemptFailure.None or AttemptFailure.ClientGone or AttemptFailure.Outrun))
        {
            span.SetTag(Error, failure.Label());
            span.SetStatus(ActivityStatusCode.Error);
        }
        else if (statusCode >= StatusCodes.Status400BadRequest)
        {
            span.SetTag(Error, statusCode.ToString(CultureInfo.InvariantCulture));
            span.SetStatus(ActivityStatusCode.Error);
        }
    }

    // The conventions have a name of their own for this one.
    private static string ProviderName(Replica replica) => replica.Upstream.Kind.Name is var kind and not "gemini" ? kind : "gcp.gemini";
}
