using Microsoft.AspNetCore.Server.Kestrel.Core;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Protection;

/// <summary>What the server takes at most, before any code of ours has seen it.</summary>
internal static class ServerLimits
{
    public static IServiceCollection AddServerLimits(this IServiceCollection services) => services.Configure<KestrelServerOptions>(server =>
    {
        // No endpoint may have more: those under /api refuse at 1 MiB.
        server.Limits.MaxRequestBodySize = BodyLimit.OpenAi.Bytes;
        server.Limits.MaxRequestLineSize = 8 * 1024;
        server.Limits.MaxRequestHeadersTotalSize = 32 * 1024;
        server.Limits.MaxRequestHeaderCount = 100;
        server.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        // A body may be slow for 5 s, and has to come at 240 bytes/s from then on.
        server.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
    });
}
