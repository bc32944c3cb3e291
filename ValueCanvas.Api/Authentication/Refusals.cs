using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Authentication;

/// <summary>Why a caller is turned away, and what helps.</summary>
internal static class Refusals
{
    private const string HowToSignIn =
        "Send an API key as \"Authorization: Bearer vck_…\" (POST /api/keys makes one; ./run.sh key prints the first), "
        + "or an access token from POST /api/auth/login.";

    public static RequestException SignIn() =>
        new(StatusCodes.Status401Unauthorized, $"This needs a key. {HowToSignIn}") { Code = "unauthenticated" };

    /// <summary>The same for a credential that never was, has expired or was withdrawn: which it is helps only those who guess.</summary>
    public static RequestException Credential() => new(
        StatusCodes.Status401Unauthorized,
        $"The key or token is not valid: it is mistyped, has expired or was withdrawn. {HowToSignIn}") { Code = "invalid_api_key" };

    public static RequestException Scope(string scope) => Forbidden(
        "insufficient_scope", $"This API key has not the scope {scope}. Make one that has: POST /api/keys.");

    public static RequestException Role(Role role) => Forbidden(
        "insufficient_role", $"This needs the role {role.ToWireName()} in the tenant. An admin or owner can give it.");

    public static RequestException Operator() => Forbidden("operator_only", "Only operators of the installation may do this.");

    public static RequestException User() => Forbidden(
        "user_only", "An API key cannot do this. Sign in with POST /api/auth/login and send the access token.");

    public static RequestException OneTimePassword() => Forbidden(
        "password_change_required", "This password is good for one sign-in only. Change it first: POST /api/auth/password.");

    public static RequestException Model(string model, IEnumerable<string> allowed) => Forbidden(
        "model_not_allowed", $"This API key may not use the model '{model}'. It may use: {string.Join(", ", allowed)}.");

    private static RequestException Forbidden(string code, string message) =>
        new(StatusCodes.Status403Forbidden, message) { Code = code };
}
