namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Section <c>Accounts:SignIn</c>: how guessing is slowed down.</summary>
internal sealed class GuardOptions
{
    public const string Section = "Accounts:SignIn";

    /// <summary>Whether strangers may register; without it accounts come by OpenID Connect alone.</summary>
    public bool Registration { get; set; } = true;

    /// <summary>Wrong passwords from one network for one account, before each further try has to wait.</summary>
    public int FreeTries { get; set; } = 5;

    /// <summary>The first wait; it doubles with each further wrong password.</summary>
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait.</summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Wrong passwords from one network, whatever the account, within ten minutes.</summary>
    public int MaxPerNetwork { get; set; } = 50;

    /// <summary>Wrong passwords for one account within an hour, from networks that it has never been signed in from.</summary>
    public int MaxPerAccount { get; set; } = 100;

    /// <summary>Registrations from one network within an hour.</summary>
    public int MaxRegistrations { get; set; } = 20;

    /// <summary>After this time Redis is not waited for, and the instance counts by itself.</summary>
    public TimeSpan RedisTimeout { get; set; } = TimeSpan.FromMilliseconds(100);
}
