using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Who remembers something of what changed is told at once.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125040000_ChangeHints")]
internal sealed class ChangeHints : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(Hints);

    // Of rare changes alone: commits that notify wait for each other.
    private const string Hints =
        """
        CREATE FUNCTION tell_of_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
            NOTIFY valuecanvas_changes;
            RETURN NULL;
        END
        $$;
        REVOKE ALL ON FUNCTION tell_of_change FROM PUBLIC;

        CREATE TRIGGER tell AFTER INSERT                     ON access_changes      FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change();
        CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON provider_keys       FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change();
        CREATE TRIGGER tell AFTER UPDATE                     ON rate_limit_revision FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change();
        """;
}
