using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// Which pages may call: those of the configured origins, compared exactly. A preflight is answered before anybody asks who calls, and at
/// no cost to a dependency.
/// </summary>
internal sealed class CrossOrigin(IOptions<ProtectionOptions> options) : IConfigureOptions<CorsOptions>
{
    private static readonly TimeSpan PreflightAge = TimeSpan.FromMinutes(10);

    private static readonly string[] Readable =
    [
        "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
        "x-request-id",
    ];

    public void Configure(CorsOptions cors) => cors.AddDefaultPolicy(policy => policy
        .WithOrigins([.. options.Value.AllowedOrigins])
        .WithMethods("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        .AllowAnyHeader()
        .AllowCredentials()
        .WithExposedHeaders(Readable)
        .SetPreflightMaxAge(PreflightAge));
}
