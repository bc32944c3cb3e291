using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Users;

namespace ValueCanvas.Api.Authentication;

/// <summary>The account and the key that an installation begins with: variables <c>VALUECANVAS_BOOTSTRAP_…</c>.</summary>
internal sealed class FirstStartOptions
{
    public const string EmailVariable = "VALUECANVAS_BOOTSTRAP_EMAIL";
    public const string PasswordVariable = "VALUECANVAS_BOOTSTRAP_PASSWORD";
    public const string ApiKeyVariable = "VALUECANVAS_BOOTSTRAP_API_KEY";
    public const string DefaultEmail = "operator@localhost";
    public const int MinKeyLength = 16;

    /// <summary>The operator's.</summary>
    public string Email { get; set; } = DefaultEmail;

    /// <summary>Null: one is made up, printed once, and must be changed at the first sign-in.</summary>
    public string? Password { get; set; }

    /// <summary>Null: the operator makes the first key after signing in. May have another form than keys that are made here.</summary>
    public string? ApiKey { get; set; }

    public static void Read(FirstStartOptions options, IConfiguration configuration)
    {
        if (Value(EmailVariable) is { } email)
            options.Email = email.Trim();
        options.Password = Value(PasswordVariable);
        options.ApiKey = Value(ApiKeyVariable)?.Trim();

        // A file that a value was read from may end with a line break; spaces may be a password's own.
        string? Value(string variable) => configuration[variable]?.TrimEnd('\r', '\n') is { Length: > 0 } value ? value : null;
    }

    /// <summary>As for everybody who registers.</summary>
    public bool HasUsableEmail() => EmailAddress.IsValid(Email);

    /// <inheritdoc cref="HasUsableEmail"/>
    public bool HasUsablePassword() => Password is null || PasswordRules.Problem(Password, Email) is null;

    public bool HasUsableKey() =>
        ApiKey is null || (ApiKey.Length is >= MinKeyLength and <= 256 && !ApiKey.AsSpan().ContainsAnyExceptInRange('!', '~'));
}
