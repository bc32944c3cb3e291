using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>API keys and their secrets; passwords that must be changed at the first sign-in.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261122010000_ApiKeys")]
internal sealed class ApiKeys : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Isolation);
        migrationBuilder.Sql(Changes);
        migrationBuilder.Sql(Functions);
        migrationBuilder.Sql(OneTimePasswords);
    }

    private const string Tables =
        """
        -- A key has the rights of the user who made it, as far as its scopes go: it ends with the membership.
        CREATE TABLE api_keys (
            id             uuid           PRIMARY KEY,
            tenant_id      uuid           NOT NULL REFERENCES tenants (id),
            created_by     uuid           NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            name           text           NOT NULL,
            environment    text           NOT NULL CHECK (environment IN ('live', 'test')),
            scopes         text[]         NOT NULL,
            -- NULL: all.
            models         text[]         NULL,
            budget_amount  numeric(14, 4) NULL CHECK (budget_amount > 0),
            budget_period  text           NULL CHECK (budget_period IN ('day', 'week', 'month', 'total')),
            expires_at     timestamptz    NULL,
            last_used_at   timestamptz    NULL,
            created_at     timestamptz    NOT NULL DEFAULT clock_timestamp(),
            -- A deleted key stays, so that nothing makes it again.
            revoked_at     timestamptz    NULL,
            -- From the configuration of the installation.
            bootstrap      boolean        NOT NULL DEFAULT false,
            UNIQUE (tenant_id, id),
            CHECK ((budget_amount IS NULL) = (budget_period IS NULL))
        );

        CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at DESC, id DESC) WHERE revoked_at IS NULL;
        CREATE INDEX api_keys_by_user ON api_keys (created_by);

        -- A key that was rotated has two for a while. Only keyed hashes.
        CREATE TABLE api_key_secrets (
            hash        bytea       PRIMARY KEY CHECK (octet_length(hash) = 32),
            tenant_id   uuid        NOT NULL,
            key_id      uuid        NOT NULL,
            -- How it begins, for people to know it by.
            prefix      text        NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at  timestamptz NULL,
            FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys (tenant_id, id) ON DELETE CASCADE
        );

        CREATE INDEX api_key_secrets_by_key ON api_key_secrets (key_id, created_at DESC);
        """;

    private const string Isolation =
        """
        ALTER TABLE api_keys        ENABLE ROW LEVEL SECURITY;
        ALTER TABLE api_keys        FORCE  ROW LEVEL SECURITY;
        ALTER TABLE api_key_secrets ENABLE ROW LEVEL SECURITY;
        ALTER TABLE api_key_secrets FORCE  ROW LEVEL SECURITY;

        CREATE POLICY tenant ON api_keys
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON api_key_secrets
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        GRANT SELECT, INSERT, UPDATE (revoked_at)         ON api_keys        TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE (expires_at), DELETE ON api_key_secrets TO valuecanvas_app;
        GRANT SELECT, UPDATE (last_used_at)               ON api_keys        TO valuecanvas_definer;
        GRANT SELECT                                      ON api_key_secrets TO valuecanvas_definer;
        """;

    // By triggers, so that no statement can end a key unnoticed, an operator's psql included. Its use is no change of it.
    private const string Changes =
        """
        ALTER TABLE access_changes ADD COLUMN of_key uuid NULL;

        CREATE FUNCTION note_api_key_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO access_changes (of_key) VALUES (OLD.id);
            RETURN NULL;
        END
        $$;

        CREATE FUNCTION note_api_key_secret_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO access_changes (of_key) VALUES (OLD.key_id);
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER api_key_changed AFTER UPDATE OF tenant_id, created_by, scopes, models, expires_at, revoked_at OR DELETE ON api_keys
            FOR EACH ROW EXECUTE FUNCTION note_api_key_change();
        CREATE TRIGGER api_key_secret_changed AFTER UPDATE OR DELETE ON api_key_secrets
            FOR EACH ROW EXECUTE FUNCTION note_api_key_secret_change();

        DROP FUNCTION changed_access(interval);
        CREATE FUNCTION changed_access(within interval)
        RETURNS TABLE (session_id uuid, user_id uuid, tenant_id uuid, key_id uuid, id bigint)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT c.of_session, c.of_user, c.of_tenant, c.of_key, c.id
            FROM access_changes c
            WHERE c.changed_at > clock_timestamp() - within
        $$;

        ALTER FUNCTION note_api_key_change        OWNER TO valuecanvas_definer;
        ALTER FUNCTION note_api_key_secret_change OWNER TO valuecanvas_definer;
        ALTER FUNCTION changed_access             OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION note_api_key_change, note_api_key_secret_change, changed_access FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION changed_access TO valuecanvas_app;
        """;

    private const string Functions =
        """
        -- What a key may do now; no row where it has ended, or the membership of whoever made it.
        CREATE FUNCTION find_api_key(given bytea) RETURNS TABLE (
            key_id uuid, tenant_id uuid, created_by uuid, role text, is_operator boolean, scopes text[], models text[], expires_at timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT k.id, k.tenant_id, k.created_by, m.role, u.is_operator, k.scopes, k.models, least(k.expires_at, s.expires_at)
            FROM api_key_secrets s
            JOIN api_keys k ON k.id = s.key_id AND k.tenant_id = s.tenant_id
            JOIN users u ON u.id = k.created_by AND u.disabled_at IS NULL
            JOIN memberships m ON m.user_id = k.created_by AND m.tenant_id = k.tenant_id
            WHERE s.hash = given AND k.revoked_at IS NULL
              AND coalesce(least(k.expires_at, s.expires_at), 'infinity') > clock_timestamp()
        $$;

        -- Keys of all tenants that one instance served in the last while, in one statement.
        CREATE FUNCTION note_api_keys_used(keys uuid[], moments timestamptz[]) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            UPDATE api_keys k SET last_used_at = used.moment
            FROM unnest(keys, moments) AS used (key_id, moment)
            WHERE k.id = used.key_id AND (k.last_used_at IS NULL OR k.last_used_at < used.moment)
        $$;

        ALTER FUNCTION find_api_key       OWNER TO valuecanvas_definer;
        ALTER FUNCTION note_api_keys_used OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION find_api_key, note_api_keys_used FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION find_api_key, note_api_keys_used TO valuecanvas_app;
        """;

    // Whoever has only the password that the first start printed can do nothing but change it.
    private const string OneTimePasswords =
        """
        ALTER TABLE users ADD COLUMN password_change_required boolean NOT NULL DEFAULT false;

        CREATE FUNCTION password_was_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.password_change_required := false;
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER password_changed BEFORE UPDATE OF password_hash ON users
            FOR EACH ROW WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash) EXECUTE FUNCTION password_was_changed();
        DROP TRIGGER user_changed ON users;
        CREATE TRIGGER user_changed AFTER UPDATE OF is_operator, disabled_at, password_hash OR DELETE ON users
            FOR EACH ROW EXECUTE FUNCTION note_user_change();

        DROP FUNCTION access_of_session(uuid, uuid, uuid);
        CREATE FUNCTION access_of_session(session uuid, of_user uuid, tenant uuid)
        RETURNS TABLE (role text, is_operator boolean, password_change_required boolean)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT m.role, u.is_operator, u.password_change_required
            FROM sessions s
            JOIN users u ON u.id = s.user_id
            JOIN memberships m ON m.user_id = s.user_id AND m.tenant_id = tenant
            WHERE s.id = session AND s.user_id = of_user
              AND s.ended_at IS NULL AND s.expires_at > clock_timestamp() AND u.disabled_at IS NULL
        $$;

        -- True where this made the user the operator: only an installation without one gets one this way.
        DROP FUNCTION appoint_first_operator(uuid);
        CREATE FUNCTION appoint_first_operator(of_user uuid, one_time_password boolean) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('valuecanvas:first-operator', 0));
            UPDATE users SET is_operator = true, email_confirmed = true, password_change_required = one_time_password
            WHERE id = of_user AND NOT EXISTS (SELECT FROM users WHERE is_operator);
            RETURN FOUND;
        END
        $$;

        ALTER FUNCTION access_of_session      OWNER TO valuecanvas_definer;
        ALTER FUNCTION appoint_first_operator OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION password_was_changed, access_of_session, appoint_first_operator FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION access_of_session, appoint_first_operator TO valuecanvas_app;
        """;
}
