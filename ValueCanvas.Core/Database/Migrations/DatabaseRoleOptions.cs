namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Section <c>Database</c> of the process that migrates.</summary>
public sealed class DatabaseRoleOptions
{
    public const string Section = "Database";

    /// <summary>Password of <c>valuecanvas_app</c>, which Api and Worker sign in as.</summary>
    public string? AppPassword { get; set; }

    /// <summary>Password of <c>valuecanvas_operator</c>, for reports, backups and psql.</summary>
    public string? OperatorPassword { get; set; }
}
