using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>
/// Signing in by a provider: authorization code with PKCE, state, nonce and a cookie that binds all of it to one browser.
/// </summary>
internal static class OpenIdConnectEndpoints
{
    private const int MaxReturnLength = 1000;

    public static void MapOpenIdConnectEndpoints(this RouteGroupBuilder group)
    {
        group.MapGet("/oidc", (Providers providers) => TypedResults.Ok(Envelope.Of(new ProviderList(
                [.. providers.All.Select(provider => new ProviderView(provider.Name, provider.Options.DisplayName ?? provider.Name))]))))
            .AllowAnonymous()
            .WithSummary("The providers that people can sign in by")
            .Produces<Envelope<ProviderList>>();
        group.MapGet("/oidc/{provider}", BeginAsync)
            .AllowAnonymous()
            .WithSummary("Send the browser to the provider; it comes back signed in, to the path returnTo")
            .Produces(StatusCodes.Status302Found)
            .ProducesProblems(StatusCodes.Status404NotFound, StatusCodes.Status502BadGateway);
        group.MapGet("/oidc/{provider}/callback", FinishAsync)
            .AllowAnonymous()
            .WithSummary("Where the provider sends the browser back to")
            .Produces(StatusCodes.Status302Found)
            .ProducesProblems(StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden);
        group.MapPost("/oidc/{provider}/link", LinkAsync)
            .RequireUser()
            .WithSummary("Begin to link a provider to the user; the browser goes to the address in the answer")
            .Produces<Envelope<LinkData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static async Task<IResult> BeginAsync(
        string provider,
        string? returnTo,
        Providers providers,
        SecretBox box,
        TimeProvider time,
        IOptions<AccountOptions> options,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var at = providers.Find(provider);
        var pending = PendingSignIn.Begin(at.Name, LocalPath(returnTo), linkTo: null, time.GetUtcNow());
        return TypedResults.Redirect(await AddressAsync(at, pending, box, options.Value, context, cancellationToken));
    }

    private static async Task<IResult> LinkAsync(
        string provider,
        JsonBody<LinkBody> body,
        Caller caller,
        Providers providers,
        SecretBox box,
        TimeProvider time,
        IOptions<AccountOptions> options,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var at = providers.Find(provider);
        var pending = PendingSignIn.Begin(at.Name, LocalPath(body.Value.ReturnTo), caller.UserId, time.GetUtcNow());
        return TypedResults.Ok(Envelope.Of(new LinkData(await AddressAsync(at, pending, box, options.Value, context, cancellationToken))));
    }

    private static async Task<string> AddressAsync(
        Provider at, PendingSignIn pending, SecretBox box, AccountOptions options, HttpContext context, CancellationToken cancellationToken)
    {
        var metadata = await at.MetadataAsync(cancellationToken);
        pending.Keep(context.Response, box);
        context.Response.Headers.CacheControl = "no-store";
        var query = new QueryBuilder
        {
            { "response_type", "code" },
            { "client_id", at.Options.ClientId },
            { "redirect_uri", CallbackUri(at, options, context) },
            { "scope", at.Options.Scopes },
            { "state", pending.State },
            { "nonce", pending.Nonce },
            { "code_challenge", pending.Challenge },
            { "code_challenge_method", "S256" },
        };
        var separator = metadata.Authorization.Query.Length > 0 ? "&" : "?";
        return $"{metadata.Authorization.AbsoluteUri}{separator}{query.ToQueryString().Value![1..]}";
    }

    private static async Task<IResult> FinishAsync(
        string provider,
        Providers providers,
        ProviderSignIn signIn,
        IdTokens idTokens,
        SecretBox box,
        AccessTokens tokens,
        SessionCookies cookies,
        AuditLog audit,
        TimeProvider time,
        IOptions<AccountOptions> options,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var at = providers.Find(provider);
        context.Response.Headers.CacheControl = "no-store";
        var query = context.Request.Query;

        // 1. The same browser, the same provider, the same sign-in.
        var metadata = await at.MetadataAsync(cancellationToken);
        var pending = PendingSignIn.Take(context, box, time.GetUtcNow());
        if (pending is null || pending.Provider != at.Name || query["state"] is not [{ } state] || !IsSame(state, pending.State))
            throw Refuse("state");
        // Which provider answers (RFC 9207): another one's code must not be brought to this one.
        if (query["iss"].Count > 0 ? query["iss"] is not [{ } issuer] || issuer != metadata.Issuer : metadata.NamesIssuer)
            throw Refuse("issuer");
        if (query["error"].Count > 0 || query["code"] is not [{ Length: > 0 and <= 4096 } code])
            throw Refuse("declined");

        // 2. Who it is.
        var idToken = await at.ExchangeAsync(code, CallbackUri(at, options.Value, context), pending.Verifier, cancellationToken);
        var identity = await idTokens.ValidateAsync(at, idToken, pending.Nonce, cancellationToken) ?? throw Refuse("id_token");

        // 3. Signed in, by cookies.
        var name = at.Options.DisplayName ?? at.Name;
        var session = pending.LinkTo is { } user
            ? await signIn.LinkAsync(user, identity, name, context, cancellationToken)
            : await signIn.SignInAsync(identity, name, context, cancellationToken);
        var access = await tokens.IssueAsync(session.UserId, session.TenantId, session.Id, cancellationToken);
        cookies.Set(context.Response, access.Text, session.RefreshToken);
        return TypedResults.LocalRedirect(pending.ReturnTo);

        RequestException Refuse(string reason)
        {
            audit.Record(context, new("auth.login", AuditOutcome.Denied) { Details = [("provider", at.Name), ("reason", reason)] });
            return new(
                StatusCodes.Status401Unauthorized,
                "The sign-in did not succeed: it was declined, took too long, or was begun elsewhere. "
                + $"Begin again: GET /api/auth/oidc/{at.Name}.")
            {
                Code = "sign_in_failed",
            };
        }
    }

    private static string CallbackUri(Provider at, AccountOptions options, HttpContext context)
    {
        var path = $"/api/auth/oidc/{at.Name}/callback";
        return options.PublicUrl is { } url
            ? url.AbsoluteUri.TrimEnd('/') + path
            : UriHelper.BuildAbsolute(context.Request.Scheme, context.Request.Host, context.Request.PathBase, path);
    }

    // Only a path of this host: an address elsewhere would make this service send people to anybody's page.
    private static string LocalPath(string? returnTo)
    {
        if (string.IsNullOrEmpty(returnTo))
            return "/";
        return returnTo.Length <= MaxReturnLength && returnTo[0] == '/' && (returnTo.Length == 1 || returnTo[1] is not ('/' or '\\'))
            && !returnTo.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? returnTo
            : throw RequestException.Invalid("returnTo", "must be a path on this host that begins with one slash");
    }

    private static bool IsSame(string one, string other) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(one), Encoding.UTF8.GetBytes(other));
}

/// <param name="Name">For the path.</param>
/// <param name="DisplayName">What people call it.</param>
internal sealed record ProviderView(string Name, string DisplayName);

internal sealed record ProviderList(IReadOnlyList<ProviderView> Items);

/// <summary>Body of <c>POST /api/auth/oidc/{provider}/link</c>.</summary>
/// <param name="ReturnTo">The local path that the browser goes to in the end.</param>
[System.Text.Json.Serialization.JsonUnmappedMemberHandling(System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow)]
internal sealed record LinkBody(string? ReturnTo);

/// <param name="Url">Where the browser has to go.</param>
internal sealed record LinkData(string Url);
