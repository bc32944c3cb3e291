using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>A forgotten password: a code that somebody who may issues, and that sets a new one once.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125041000_PasswordResets")]
internal sealed class PasswordResets : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Table);
        migrationBuilder.Sql(Functions);
    }

    // Only hashes. The application reaches them by the functions alone.
    private const string Table =
        """
        CREATE TABLE password_resets (
            hash        bytea       PRIMARY KEY CHECK (octet_length(hash) = 32),
            user_id     uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            issued_by   uuid        NULL REFERENCES users (id) ON DELETE SET NULL,
            created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at  timestamptz NOT NULL,
            used_at     timestamptz NULL
        );

        CREATE INDEX password_resets_by_user ON password_resets (user_id);

        ALTER TABLE password_resets ENABLE ROW LEVEL SECURITY;
        ALTER TABLE password_resets FORCE  ROW LEVEL SECURITY;
        GRANT SELECT, INSERT, UPDATE, DELETE ON password_resets TO valuecanvas_definer;
        """;

    private const string Functions =
        """
        -- By the caller: an operator for anybody, named by e-mail address; or, within a tenant, an owner for a member. Who has the code has
        -- the account in all of its tenants, so an owner issues one only for somebody who is in no tenant that is not the owner's, too.
        -- Outcomes: issued, unknown, forbidden, elsewhere, disabled. Earlier codes of the user hold no more.
        CREATE FUNCTION issue_password_reset(of_email text, of_user uuid, within uuid, token bytea, valid interval)
        RETURNS TABLE (outcome text, user_id uuid, expires_at timestamptz)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            caller  uuid := NULLIF(current_setting('app.user_id', true), '')::uuid;
            target  users;
        BEGIN
            SELECT u.* INTO target FROM users u
            WHERE CASE WHEN within IS NULL THEN u.normalized_email = of_email ELSE u.id = of_user END
            FOR SHARE;
            IF within IS NULL THEN
                IF NOT EXISTS (SELECT FROM users c WHERE c.id = caller AND c.is_operator AND c.disabled_at IS NULL) THEN
                    RETURN QUERY SELECT 'forbidden', NULL::uuid, NULL::timestamptz;
                    RETURN;
                END IF;
            ELSIF target.id IS NOT NULL THEN
                IF NOT EXISTS (SELECT FROM memberships m WHERE m.user_id = target.id AND m.tenant_id = within) THEN
                    target.id := NULL;
                ELSIF target.is_operator OR EXISTS (
                    SELECT FROM memberships m
                    WHERE m.user_id = target.id AND NOT EXISTS (
                        SELECT FROM memberships o WHERE o.tenant_id = m.tenant_id AND o.user_id = caller AND o.role = 'owner')) THEN
                    RETURN QUERY SELECT 'elsewhere', target.id, NULL::timestamptz;
                    RETURN;
                END IF;
            END IF;
            IF target.id IS NULL OR target.disabled_at IS NOT NULL THEN
                RETURN QUERY SELECT CASE WHEN target.id IS NULL THEN 'unknown' ELSE 'disabled' END, target.id, NULL::timestamptz;
                RETURN;
            END IF;

            DELETE FROM password_resets r
            WHERE r.user_id = target.id AND (r.used_at IS NULL OR r.used_at < clock_timestamp() - interval '30 days');
            RETURN QUERY
            INSERT INTO password_resets AS r (hash, user_id, issued_by, expires_at)
            VALUES (token, target.id, caller, clock_timestamp() + valid)
            RETURNING 'issued', r.user_id, r.expires_at;
        END
        $$;

        -- Whose password a code would set now; no row where it holds no more.
        CREATE FUNCTION user_of_password_reset(token bytea) RETURNS TABLE (user_id uuid, email text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT u.id, u.email
            FROM password_resets r JOIN users u ON u.id = r.user_id AND u.disabled_at IS NULL
            WHERE r.hash = token AND r.used_at IS NULL AND r.expires_at > clock_timestamp()
        $$;

        -- Sets the password, once, and ends every session with all of its tokens; no row where the code holds no more.
        CREATE FUNCTION redeem_password_reset(token bytea, new_hash text, stamp text) RETURNS TABLE (user_id uuid, sessions_ended integer)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            whose  uuid;
            ended  integer;
        BEGIN
            UPDATE password_resets r SET used_at = clock_timestamp()
            FROM users u
            WHERE r.hash = token AND r.used_at IS NULL AND r.expires_at > clock_timestamp() AND u.id = r.user_id AND u.disabled_at IS NULL
            RETURNING r.user_id INTO whose;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            UPDATE users u SET password_hash = new_hash, security_stamp = stamp WHERE u.id = whose;
            UPDATE sessions s SET ended_at = clock_timestamp(), end_reason = 'password' WHERE s.user_id = whose AND s.ended_at IS NULL;
            GET DIAGNOSTICS ended = ROW_COUNT;
            RETURN QUERY SELECT whose, ended;
        END
        $$;

        ALTER FUNCTION issue_password_reset   OWNER TO valuecanvas_definer;
        ALTER FUNCTION user_of_password_reset OWNER TO valuecanvas_definer;
        ALTER FUNCTION redeem_password_reset  OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION issue_password_reset, user_of_password_reset, redeem_password_reset FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION issue_password_reset, user_of_password_reset, redeem_password_reset TO valuecanvas_app;
        """;
}
