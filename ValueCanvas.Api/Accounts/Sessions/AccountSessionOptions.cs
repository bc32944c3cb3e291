namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>Section <c>Accounts:Sessions</c>.</summary>
internal sealed class AccountSessionOptions
{
    public const string Section = "Accounts:Sessions";

    /// <summary>A session that is not refreshed for so long ends.</summary>
    public TimeSpan Idle { get; set; } = TimeSpan.FromDays(7);

    /// <summary>And so long after the sign-in whatever happens.</summary>
    public TimeSpan Absolute { get; set; } = TimeSpan.FromDays(30);

    /// <summary>So long the same token gets the same answer again, in case that one was lost.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an invitation holds.</summary>
    public TimeSpan Invitation { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How long a code for a forgotten password holds.</summary>
    public TimeSpan PasswordReset { get; set; } = TimeSpan.FromHours(1);

    /// <summary>What is over is kept so long for people to look at.</summary>
    public TimeSpan KeepEnded { get; set; } = TimeSpan.FromDays(30);
}
