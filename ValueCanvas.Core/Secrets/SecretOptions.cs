namespace ValueCanvas.Core.Secrets;

/// <summary>Section <c>Accounts</c>, its one secret.</summary>
public sealed class SecretOptions
{
    /// <summary>Where it is configured.</summary>
    public const string Section = "Accounts";

    /// <summary>Fewer characters than a generated secret has are a word that somebody typed.</summary>
    public const int MinLength = 22;

    /// <summary>
    /// What every key of <see cref="SecretBox"/> is derived from; the same in all instances, and kept: what it sealed is lost with it.
    /// </summary>
    public string? SecretKey { get; set; }
}
