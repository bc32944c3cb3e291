using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

internal static partial class DrainEndpoints
{
    /// <summary>
    /// <c>POST /providers/{replica}/drain</c>: the replica gets no new requests, those under way end; <c>inFlight</c> in <c>GET /providers</c> says
    /// when the last has. <c>…/undrain</c> takes that back. Both answer 204, and hold for this process until it ends.
    /// </summary>
    public static IEndpointRouteBuilder MapDrainEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/providers/{replica}/drain", (string replica, Fleet fleet, ILogger<ReplicaLoad> logger, HttpContext context) =>
            SetAsync(replica, true, fleet, logger, context));
        endpoints.MapPost("/providers/{replica}/undrain", (string replica, Fleet fleet, ILogger<ReplicaLoad> logger, HttpContext context) =>
            SetAsync(replica, false, fleet, logger, context));
        return endpoints;
    }

    private static Task SetAsync(string name, bool draining, Fleet fleet, ILogger logger, HttpContext context)
    {
        if (Array.Find(fleet.Current.Replicas, replica => replica.Name == name) is not { } found)
        {
            return ProxyError.UnknownReplica(fleet.Current.Replicas.Select(replica => replica.Name)).WriteAsync(context);
        }

        if (found.Load.Draining != draining)
        {
            found.Load.Draining = draining;
            Log.Changed(logger, found.Name, draining ? "drained: it gets no new requests" : "open again");
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Replica {Replica} is {State}")]
        public static partial void Changed(ILogger logger, string replica, string state);
    }
}
