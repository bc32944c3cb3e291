using Microsoft.AspNetCore.Server.Kestrel.Core;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Hedging;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Forwarding;

internal static partial class InferenceEndpoints
{
    public static IServiceCollection AddForwarding(this IServiceCollection services)
    {
        services.AddReplicaRouting();
        services.AddAdmission();
        services.AddHedging();
        services.AddSingleton<InferenceMetrics>();
        services.AddSingleton<TokenMetrics>();
        services.AddSingleton<TargetChooser>();
        services.AddSingleton<AttemptRunner>();
        services.AddSingleton<ResumeSignals>();
        services.AddSingleton<Resumer>();
        services.AddSingleton<Forwarder>();
        services.AddSingleton<BodyBudget>();
        // The limit is Inference:MaxBodyBytes, and its refusal an OpenAI error object.
        services.Configure<KestrelServerOptions>(options =>
        {
            options.Limits.MaxRequestBodySize = null;
            options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        });
        return services;
    }

    public static IEndpointRouteBuilder MapInferenceEndpoints(this IEndpointRouteBuilder endpoints)
    {
        var forwarder = endpoints.ServiceProvider.GetRequiredService<Forwarder>();
        var logger = endpoints.ServiceProvider.GetRequiredService<ILogger<Forwarder>>();
        foreach (var operation in InferenceOperation.All)
            endpoints.MapPost(operation.Path, context => GuardAsync(context, forwarder, operation, logger));

        endpoints.MapFallback(context => ProxyError.UnknownPath.WriteAsync(context));
        return endpoints;
    }

    /// <summary>The last resort for faults of the proxy itself; what can be expected to go wrong is a value and never gets here.</summary>
    private static async Task GuardAsync(HttpContext context, Forwarder forwarder, InferenceOperation operation, ILogger logger)
    {
        try
        {
            await forwarder.ForwardAsync(context, operation);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone while its body was read or an answer written.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            Log.Unexpected(logger, e);
            await ProxyError.Internal.WriteAsync(context);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The proxy failed on a request")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
