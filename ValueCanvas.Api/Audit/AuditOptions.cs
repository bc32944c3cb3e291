namespace ValueCanvas.Api.Audit;

/// <summary>Configuration section <c>Audit</c>.</summary>
internal sealed class AuditOptions
{
    public const string Section = "Audit";

    /// <summary>The database lets nobody remove anything younger.</summary>
    public static readonly TimeSpan LeastRetention = TimeSpan.FromDays(30);

    /// <summary>How long rows are kept.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(400);

    /// <summary>How long rows about what was refused are kept.</summary>
    public TimeSpan DeniedRetention { get; set; } = TimeSpan.FromDays(90);

    /// <summary>Rows that wait in memory while the database is away; further ones go to the service's own log alone.</summary>
    public int MaxQueued { get; set; } = 10_000;

    /// <summary>How long the end of the service waits for a database that is away.</summary>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Rows per minute about what was done in vain, by strangers and by callers each; further ones are counted in one row.
    /// </summary>
    public int MaxRefusalsPerMinute { get; set; } = 60;

    /// <summary>The same of one caller, or of strangers from one network address.</summary>
    public int MaxRefusalsPerSource { get; set; } = 10;
}
