using System.Text.Json.Serialization;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>Body of <c>POST /api/admin/password-resets</c>.</summary>
/// <param name="Email">Who has forgotten the password.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record IssueResetBody(string? Email) : IRequestBody
{
    public void Validate(RequestErrors errors) => EmailAddress.Validate("email", Email, errors);
}

/// <summary>Body of <c>POST /api/auth/password/reset</c>.</summary>
/// <param name="Token">The code, as it was handed on.</param>
/// <param name="NewPassword">The new password.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RedeemResetBody(string? Token, string? NewPassword) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrEmpty(Token))
            errors.Add("token", "is required");
        // Again, with the e-mail address, once it is known whose password it is.
        PasswordRules.Validate("newPassword", NewPassword, email: null, errors);
    }

    /// <summary>Without code and password: a record would print them.</summary>
    public override string ToString() => nameof(RedeemResetBody);
}

/// <param name="UserId">Whose password it sets.</param>
/// <param name="Token">The code; shown in this answer alone. It works once.</param>
/// <param name="ExpiresAt">Until then.</param>
internal sealed record NewPasswordReset(Guid UserId, string Token, DateTimeOffset ExpiresAt);
