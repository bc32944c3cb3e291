using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace ValueCanvas.ServiceDefaults.Shutdown;

/// <summary>
/// Once the end of the service is near each answer closes its connection, so that a client goes elsewhere with its next request instead of
/// sending it into a connection that is about to be closed.
/// </summary>
internal sealed class DrainFilter(IHostApplicationLifetime lifetime) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        var stopping = lifetime.ApplicationStopping;
        app.Use((HttpContext context, RequestDelegate rest) =>
        {
            if (stopping.IsCancellationRequested)
                context.Response.Headers.Connection = "close";
            return rest(context);
        });
        next(app);
    };
}
