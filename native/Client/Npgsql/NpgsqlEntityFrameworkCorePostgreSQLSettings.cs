namespace Aspire.Npgsql.EntityFrameworkCore.PostgreSQL;

/// <summary>
/// How a PostgreSQL context is added or enriched; read from <c>Aspire:Npgsql:EntityFrameworkCore:PostgreSQL</c>, below it the section of
/// the connection's name, and below it the section of the context's type name.
/// </summary>
public class NpgsqlEntityFrameworkCorePostgreSQLSettings
{
    /// <summary>Npgsql connection string; <c>ConnectionStrings:NAME</c> beats the section.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>Seconds until a command is given up; null leaves the provider's default.</summary>
    public int? CommandTimeout { get; set; }

    /// <summary>True adds no health check.</summary>
    public bool DisableHealthChecks { get; set; }

    /// <summary>
    /// True asks for no metrics. Natively the provider's meters exist either way and the application's telemetry names them.
    /// </summary>
    public bool DisableMetrics { get; set; }

    /// <summary>True leaves transient failures to the caller; false repeats the unit of work, so a bare BeginTransaction throws.</summary>
    public bool DisableRetry { get; set; }

    /// <summary>
    /// True asks for no spans. Natively the provider's source exists either way and the application's telemetry names it.
    /// </summary>
    public bool DisableTracing { get; set; }
}
