using System.Text.Json.Serialization;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Body of <c>POST /api/auth/register</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RegisterBody(string? Email, string? Password, string? Name, string? TenantName) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        EmailAddress.Validate("email", Email, errors);
        PasswordRules.Validate("password", Password, Email, errors);
        PlainName.Validate("name", Name, required: false, errors);
        PlainName.Validate("tenantName", TenantName, required: false, errors);
    }
}

/// <summary>Body of <c>POST /api/auth/login</c>.</summary>
/// <param name="Email">As it was registered.</param>
/// <param name="Password">The password.</param>
/// <param name="TenantId">To work in this tenant; else in the one that the user has belonged to longest.</param>
/// <param name="Cookies">The tokens go into cookies, and not into the answer.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record LoginBody(string? Email, string? Password, Guid? TenantId, bool? Cookies) : IRequestBody
{
    // Enough for any that could be set, and no work for the hash.
    private const int MaxLength = 4 * PasswordRules.MaxLength;

    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrEmpty(Email))
            errors.Add("email", "is required");
        if (string.IsNullOrEmpty(Password))
            errors.Add("password", "is required");
        if (Password?.Length > MaxLength)
            errors.Add("password", $"must have at most {PasswordRules.MaxLength} characters");
    }
}

/// <summary>Body of <c>POST /api/auth/password</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record PasswordBody(string? CurrentPassword, string? NewPassword) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrEmpty(CurrentPassword))
            errors.Add("currentPassword", "is required");
        // Again, with the e-mail address, once it is known whose password it is.
        PasswordRules.Validate("newPassword", NewPassword, email: null, errors);
        if (NewPassword is not null && NewPassword == CurrentPassword)
            errors.Add("newPassword", "must differ from the current password");
    }
}
