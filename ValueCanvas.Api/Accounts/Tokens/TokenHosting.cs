using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Tokens;

internal static class TokenHosting
{
    public static IServiceCollection AddAccessTokens(this IServiceCollection services)
    {
        services.AddOptions<TokenOptions>()
            .BindConfiguration(TokenOptions.Section)
            .Validate(options => options.Issuer.Length > 0, $"{TokenOptions.Section}:Issuer must not be empty.")
            .Validate(options => options.Audience.Length > 0, $"{TokenOptions.Section}:Audience must not be empty.")
            .Validate(
                options => options.Lifetime >= TimeSpan.FromMinutes(1) && options.Lifetime <= TimeSpan.FromHours(1),
                $"{TokenOptions.Section}:Lifetime must be between a minute and an hour.")
            .Validate(
                options => options.ClockSkew >= TimeSpan.Zero && options.ClockSkew <= TimeSpan.FromMinutes(2),
                $"{TokenOptions.Section}:ClockSkew must be between 0 and two minutes.")
            .Validate(
                options => options.KeyOverlap >= TimeSpan.FromMinutes(5) && options.KeyLifetime >= 2 * options.KeyOverlap,
                $"{TokenOptions.Section}:KeyOverlap must be at least five minutes, and KeyLifetime at least twice that.")
            .Validate(options => options.MaxRemembered >= 100, $"{TokenOptions.Section}:MaxRemembered must be at least 100.")
            .ValidateOnStart();
        services.AddSingleton<SigningKeyStore>();
        services.AddSingleton<SigningKeys>();
        services.AddSingleton<AccessTokens>();
        return services.AddJson(TokenContext.Default);
    }

    /// <summary><c>/.well-known/jwks.json</c>: what others verify access tokens by.</summary>
    public static RouteHandlerBuilder MapKeySet(this IEndpointRouteBuilder app) =>
        app.MapGet("/.well-known/jwks.json", async (SigningKeys keys, HttpContext context, CancellationToken cancellationToken) =>
            {
                var set = new KeySet(await keys.PublishedAsync(cancellationToken));
                context.Response.Headers.CacheControl = "public, max-age=300";
                return TypedResults.Json(set, TokenContext.Default.KeySet, "application/jwk-set+json");
            })
            .WithTags("Accounts")
            .WithSummary("The public keys of access tokens (RFC 7517)")
            .Produces<KeySet>(StatusCodes.Status200OK, "application/jwk-set+json");
}

internal sealed record KeySet(IReadOnlyList<PublicJwk> Keys);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(KeySet))]
internal sealed partial class TokenContext : JsonSerializerContext;
