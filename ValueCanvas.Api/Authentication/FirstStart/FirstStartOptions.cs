namespace ValueCanvas.Api.Authentication;

/// <summary>The account and the key that an installation begins with: variables <c>VALUECANVAS_BOOTSTRAP_…</c>.</summary>
internal sealed class FirstStartOptions
{
    public const string EmailVariable = "VALUECANVAS_BOOTSTRAP_EMAIL";
    public const string PasswordVariable = "VALUECANVAS_BOOTSTRAP_PASSWORD";
    public const string ApiKeyVariable = "VALUECANVAS_BOOTSTRAP_API_KEY";
    public const string DefaultEmail = "operator@localhost";
    public const int MinPasswordLength = 8;
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
            options.Email = email;
        options.Password = Value(PasswordVariable);
        options.ApiKey = Value(ApiKeyVariable);

        string? Value(string variable) => configuration[variable] is { Length: > 0 } value ? value.Trim() : null;
    }

    public bool HasUsableKey() =>
        ApiKey is null || (ApiKey.Length is >= MinKeyLength and <= 256 && !ApiKey.AsSpan().ContainsAnyExceptInRange('!', '~'));
}
