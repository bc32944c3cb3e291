namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>Section <c>Accounts:Passwords</c>.</summary>
internal sealed class HashingOptions
{
    public const string Section = "Accounts:Passwords";

    public const int LeastIterations = 100_000;

    /// <summary>Rounds of PBKDF2 with HMAC-SHA-512 for a new hash.</summary>
    public int Iterations { get; set; } = 210_000;

    /// <summary>
    /// Hashes computed at the same time, so that signing in leaves processors to others; 0: a quarter of them, at least one.
    /// </summary>
    public int MaxConcurrent { get; set; }

    /// <summary>Requests that wait for a hash at the same time; further ones are refused with 503.</summary>
    public int MaxWaiting { get; set; } = 64;

    /// <summary>A request that has waited so long for its turn is refused with 503.</summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(5);
}
