namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>Section <c>Accounts:Tokens</c>.</summary>
internal sealed class TokenOptions
{
    public const string Section = "Accounts:Tokens";

    /// <summary>Who issues: the claim <c>iss</c>.</summary>
    public string Issuer { get; set; } = "valuecanvas";

    /// <summary>Whom tokens are for: the claim <c>aud</c>. Installations that share an issuer must differ here.</summary>
    public string Audience { get; set; } = "valuecanvas-api";

    /// <summary>How long an access token lives.</summary>
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How far clocks of instances may be apart.</summary>
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a key signs.</summary>
    public TimeSpan KeyLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>How long before it signs a key is published.</summary>
    public TimeSpan KeyOverlap { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Tokens remembered as valid, in each instance.</summary>
    public int MaxRemembered { get; set; } = 20_000;
}
