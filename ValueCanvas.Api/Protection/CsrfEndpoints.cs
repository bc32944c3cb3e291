using System.Text.Json.Serialization;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Protection;

/// <param name="Token">To be sent as <c>X-CSRF-Token</c> with every change.</param>
internal sealed record CsrfToken(string Token);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Envelope<CsrfToken>))]
internal sealed partial class CsrfContext : JsonSerializerContext;

internal static class CsrfEndpoints
{
    public static void MapCsrfEndpoints(this RouteGroupBuilder group) =>
        group.MapGet("/csrf", (Caller caller, CsrfTokens tokens) => tokens.Of(caller) is { } token
                ? TypedResults.Ok(Envelope.Of(new CsrfToken(token)))
                : throw RequestException.NotFound("There is no session: a key or an access token needs no such token."))
            // A browser, too, has to be able to change such a password.
            .AllowOneTimePassword()
            .WithSummary("The token that changes on behalf of a session's cookie have to carry as X-CSRF-Token")
            .Produces<Envelope<CsrfToken>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
}
