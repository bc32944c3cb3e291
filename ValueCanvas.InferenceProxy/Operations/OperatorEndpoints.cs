using System.Globalization;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.ServiceDefaults.Caching;

namespace ValueCanvas.InferenceProxy.Operations;

/// <summary>
/// An operator's hand on a replica: <c>open</c>, <c>close</c> and <c>reset</c> its breakers, of all models or of the one that
/// <c>?model=</c> names; <c>drain</c> (no new requests, those under way end) and <c>undrain</c>. Each answers <see cref="OperatorAnswer"/>.
/// </summary>
internal static partial class OperatorEndpoints
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    public static IHostApplicationBuilder AddOperations(this IHostApplicationBuilder builder)
    {
        builder.AddValueCanvasCache(required: false);
        builder.Services.AddSingleton<OperatorBoard>();
        builder.Services.AddSingleton<OperatorExchange>();
        builder.Services.AddHostedService(services => services.GetRequiredService<OperatorExchange>());
        return builder;
    }

    public static IEndpointRouteBuilder MapOperatorEndpoints(this IEndpointRouteBuilder endpoints)
    {
        foreach (var verb in Enum.GetValues<OperatorVerb>())
        {
            endpoints.MapPost($"/providers/{{replica}}/{Word(verb)}",
                (HttpContext context, string replica, Fleet fleet, OperatorBoard board, OperatorExchange exchange,
                    ILogger<OperatorBoard> logger) => ActAsync(context, replica, verb, fleet.Current, board, exchange, logger));
        }

        return endpoints;
    }

    private static async Task ActAsync(
        HttpContext context, string name, OperatorVerb verb, Topology topology, OperatorBoard board, OperatorExchange exchange,
        ILogger logger)
    {
        if (Refuse(context, name, verb, topology, out var model, out var duration) is { } refused)
        {
            Log.Refused(logger, Word(verb), refused.Code ?? refused.Param);
            await refused.WriteAsync(context);
            return;
        }

        board.Put(name, model, verb, duration);
        var shared = await exchange.ShareAsync(context.RequestAborted);
        var answer = new OperatorAnswer(Word(verb), name, model, shared ? "all proxies" : "this proxy",
            shared ? null
            : exchange.IsShared ? "Redis does not answer: the other proxies follow when it does."
            : "There is no Redis (ConnectionStrings:cache): other proxies, if there are any, must be told one by one.");
        var what = duration is null ? answer.Action : $"{answer.Action} for {duration}";
        Log.Acted(logger, Credential.FingerprintOf(topology.Options.OperatorKey!), what, name, model ?? "all models", answer.Scope);
        await TypedResults.Json(answer, OperatorJsonContext.Default.OperatorAnswer).ExecuteAsync(context);
    }

    private static ProxyError? Refuse(
        HttpContext context, string name, OperatorVerb verb, Topology topology, out string? model, out TimeSpan? duration)
    {
        (model, duration) = (null, null);
        if (OperatorKey.Check(context, topology.Options) is { } unproven)
            return unproven;

        if (Array.Find(topology.Replicas, r => r.Name == name) is not { } replica)
            return ProxyError.UnknownReplica(topology.Replicas.Select(r => r.Name));

        var query = context.Request.Query;
        if (verb == OperatorVerb.Open && !TryReadDuration(query["duration"], out duration))
        {
            return ProxyError.BadRequest(
                "The duration must be positive and at most seven days: seconds (90) or hh:mm:ss (00:01:30).", "duration");
        }

        model = verb is OperatorVerb.Drain or OperatorVerb.Undrain ? null : (string?)query["model"];
        var known = replica.State.Models.Keys.Union(replica.Breakers.All.Select(b => b.Model));
        return model is null || known.Contains(model) ? null : ProxyError.UnknownModel(model, known);
    }

    private static string Word(OperatorVerb verb) => verb switch
    {
        OperatorVerb.Open => "open",
        OperatorVerb.Close => "close",
        OperatorVerb.Reset => "reset",
        OperatorVerb.Drain => "drain",
        _ => "undrain",
    };

    private static bool TryReadDuration(string? text, out TimeSpan? duration)
    {
        duration = null;
        if (string.IsNullOrEmpty(text))
            return true;

        var read = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            ? seconds > 0 && seconds <= Longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : TimeSpan.Zero
            : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) ? time : TimeSpan.Zero;
        duration = read;
        return read > TimeSpan.Zero && read <= Longest;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Operator {Fingerprint}: {Action}, {Replica}, {Model}, {Scope}")]
        public static partial void Acted(ILogger logger, string fingerprint, string action, string replica, string model, string scope);

        [LoggerMessage(LogLevel.Warning, "An operator's {Action} was refused: {Reason}")]
        public static partial void Refused(ILogger logger, string action, string? reason);
    }
}

/// <summary>
/// What was done, to all models where none is named, and which proxies follow: <c>all proxies</c> (within a second) or <c>this proxy</c>,
/// with the reason.
/// </summary>
internal sealed record OperatorAnswer(string Action, string Replica, string? Model, string Scope, string? Message);
