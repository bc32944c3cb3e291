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
    public const string Address = "server.address";
    public const string Port = "server.port";
    public const string StatusCode = "http.response.status_code";
    public const string Error = "error.type";
    public const string Target = "valuecanvas.target";
    public const string Hedge = "valuecanvas.hedge";

    private static readonly ActivitySource Source = new("ValueCanvas.InferenceProxy");

    /// <summary>The client span of one attempt, or null when nobody listens.</summary>
    public static Activity? StartAttempt(InferenceOperation operation, string model, bool stream, Replica replica)
    {
        if (!Source.HasListeners() || Source.StartActivity($"{operation.Name} {model}", ActivityKind.Client) is not { } span)
        {
            return null;
        }

        span.SetTag(Operation, operation.Name);
        span.SetTag(Model, model);
        span.SetTag(Provider, replica.Provider);
        span.SetTag(Stream, stream);
        span.SetTag(Address, replica.Address.Host);
        span.SetTag(Port, replica.Address.Port);
        span.SetTag(Target, replica.Name);
        return span;
    }

    public static void Judge(this Activity span, AttemptFailure failure, int statusCode)
    {
        if (!failure.IsBlameless())
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
}
