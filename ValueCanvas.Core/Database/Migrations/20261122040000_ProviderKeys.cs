using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>The keys that tenants have of model providers.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261122040000_ProviderKeys")]
internal sealed class ProviderKeys : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Table);
        migrationBuilder.Sql(Changes);
    }

    private const string Table =
        """
        -- Sealed by the application. Of a deleted key the row stays, without the key, so that every instance hears of it.
        CREATE TABLE provider_keys (
            tenant_id   uuid        NOT NULL REFERENCES tenants (id),
            provider    text        NOT NULL CHECK (provider ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
            sealed      bytea       NULL,
            last_four   text        NULL CHECK (length(last_four) = 4),
            set_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
            changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (tenant_id, provider),
            CHECK ((sealed IS NULL) = (last_four IS NULL))
        );

        CREATE INDEX provider_keys_by_change ON provider_keys (changed_at);

        ALTER TABLE provider_keys ENABLE ROW LEVEL SECURITY;
        ALTER TABLE provider_keys FORCE  ROW LEVEL SECURITY;
        CREATE POLICY tenant ON provider_keys
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        GRANT SELECT, INSERT, UPDATE ON provider_keys TO valuecanvas_app;
        GRANT SELECT (tenant_id, sealed, changed_at) ON provider_keys TO valuecanvas_definer;
        """;

    // By a trigger, so that no statement can change a key unnoticed.
    private const string Changes =
        """
        CREATE FUNCTION note_provider_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.changed_at := clock_timestamp();
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER provider_key_changed BEFORE INSERT OR UPDATE ON provider_keys
            FOR EACH ROW EXECUTE FUNCTION note_provider_key_change();

        -- Which tenants' keys changed within this time; without one: which tenants have any.
        CREATE FUNCTION tenants_of_provider_keys(within interval) RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT DISTINCT k.tenant_id FROM provider_keys k
            WHERE CASE WHEN within IS NULL THEN k.sealed IS NOT NULL ELSE k.changed_at > clock_timestamp() - within END
        $$;

        ALTER FUNCTION tenants_of_provider_keys OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION note_provider_key_change, tenants_of_provider_keys FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION tenants_of_provider_keys TO valuecanvas_app;
        """;
}
