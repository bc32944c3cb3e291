using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Users, memberships, invitations, sessions, and the keys that sign access tokens.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261122000000_Accounts")]
internal sealed class Accounts : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Isolation);
        migrationBuilder.Sql(Changes);
        migrationBuilder.Sql(AccountFunctions.Sessions);
        migrationBuilder.Sql(AccountFunctions.Members);
        migrationBuilder.Sql(AccountFunctions.Rights);
    }

    private const string Tables =
        """
        -- Global: which tenants a user belongs to is told by memberships.
        CREATE TABLE users (
            id                    uuid        PRIMARY KEY,
            user_name             text        NOT NULL,
            normalized_user_name  text        NOT NULL UNIQUE,
            email                 text        NOT NULL,
            normalized_email      text        NOT NULL UNIQUE,
            email_confirmed       boolean     NOT NULL DEFAULT false,
            password_hash         text        NULL,
            security_stamp        text        NULL,
            concurrency_stamp     text        NULL,
            display_name          text        NULL,
            is_operator           boolean     NOT NULL DEFAULT false,
            disabled_at           timestamptz NULL,
            created_at            timestamptz NOT NULL DEFAULT now()
        );

        -- Who a user is at an OpenID Connect provider.
        CREATE TABLE user_logins (
            login_provider         text        NOT NULL,
            provider_key           text        NOT NULL,
            provider_display_name  text        NULL,
            user_id                uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            created_at             timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (login_provider, provider_key)
        );

        CREATE INDEX user_logins_by_user ON user_logins (user_id);

        CREATE TABLE memberships (
            tenant_id   uuid        NOT NULL REFERENCES tenants (id),
            user_id     uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            role        text        NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, user_id)
        );

        CREATE INDEX memberships_by_user ON memberships (user_id, created_at);

        CREATE TABLE invitations (
            id                uuid        PRIMARY KEY,
            tenant_id         uuid        NOT NULL REFERENCES tenants (id),
            email             text        NOT NULL,
            normalized_email  text        NOT NULL,
            role              text        NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
            token_hash        bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
            invited_by        uuid        NULL REFERENCES users (id) ON DELETE SET NULL,
            created_at        timestamptz NOT NULL DEFAULT now(),
            expires_at        timestamptz NOT NULL,
            accepted_at       timestamptz NULL,
            revoked_at        timestamptz NULL
        );

        CREATE INDEX invitations_by_tenant ON invitations (tenant_id, created_at DESC, id DESC);

        -- A sign-in, and the family of its refresh tokens. It works in one tenant at a time.
        CREATE TABLE sessions (
            id            uuid        PRIMARY KEY,
            user_id       uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            tenant_id     uuid        NOT NULL REFERENCES tenants (id),
            created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_used_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at    timestamptz NOT NULL,
            ended_at      timestamptz NULL,
            end_reason    text        NULL CHECK (end_reason IN ('logout', 'ended', 'password', 'reuse')),
            client        text        NULL,
            -- A keyed hash of the network that the sign-in came from, never an address.
            network       bytea       NULL,
            CHECK ((ended_at IS NULL) = (end_reason IS NULL))
        );

        CREATE INDEX sessions_by_user ON sessions (user_id, created_at DESC, id DESC);
        CREATE INDEX sessions_by_expiry ON sessions (expires_at);

        -- Only hashes. A replaced token stays, so that whoever uses it again is noticed.
        CREATE TABLE refresh_tokens (
            hash         bytea       PRIMARY KEY CHECK (octet_length(hash) = 32),
            session_id   uuid        NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at   timestamptz NOT NULL,
            replaced_at  timestamptz NULL
        );

        CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

        -- The private halves are sealed by the application; the database alone can sign nothing.
        CREATE TABLE signing_keys (
            id            text        PRIMARY KEY,
            sealed        bytea       NOT NULL,
            active_from   timestamptz NOT NULL,
            active_until  timestamptz NOT NULL,
            created_at    timestamptz NOT NULL DEFAULT now(),
            CHECK (active_until > active_from)
        );

        -- Whose access ended or changed; every instance asks for the last of these and forgets what it remembered of them.
        CREATE TABLE access_changes (
            id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            of_session  uuid        NULL,
            of_user     uuid        NULL,
            of_tenant   uuid        NULL
        );

        CREATE INDEX access_changes_by_time ON access_changes (changed_at);
        """;

    // A user is visible to itself, by the e-mail that somebody signs in with, and to members of the tenant that a request runs for.
    private const string Isolation =
        """
        ALTER TABLE users          ENABLE ROW LEVEL SECURITY;
        ALTER TABLE users          FORCE  ROW LEVEL SECURITY;
        ALTER TABLE user_logins    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE user_logins    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE memberships    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE memberships    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE invitations    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE invitations    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE sessions       ENABLE ROW LEVEL SECURITY;
        ALTER TABLE sessions       FORCE  ROW LEVEL SECURITY;
        ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
        ALTER TABLE refresh_tokens FORCE  ROW LEVEL SECURITY;
        ALTER TABLE access_changes ENABLE ROW LEVEL SECURITY;
        ALTER TABLE access_changes FORCE  ROW LEVEL SECURITY;

        CREATE POLICY self ON users
            USING (id = NULLIF(current_setting('app.user_id', true), '')::uuid);
        CREATE POLICY sign_in ON users FOR SELECT
            USING (normalized_email = NULLIF(current_setting('app.sign_in', true), ''));
        CREATE POLICY colleagues ON users FOR SELECT
            USING (EXISTS (
                SELECT FROM memberships m
                WHERE m.user_id = users.id AND m.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid));
        CREATE POLICY self ON user_logins
            USING (user_id = NULLIF(current_setting('app.user_id', true), '')::uuid);
        CREATE POLICY tenant ON memberships
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON invitations
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY self ON sessions
            USING (user_id = NULLIF(current_setting('app.user_id', true), '')::uuid);
        CREATE POLICY self ON refresh_tokens FOR INSERT
            WITH CHECK (EXISTS (SELECT FROM sessions s WHERE s.id = session_id));

        GRANT INSERT, UPDATE (name) ON tenants TO valuecanvas_app;
        GRANT SELECT ON users TO valuecanvas_app;
        -- Not is_operator and not disabled_at: no request makes an operator.
        GRANT INSERT (id, user_name, normalized_user_name, email, normalized_email, email_confirmed, password_hash, security_stamp,
                      concurrency_stamp, display_name) ON users TO valuecanvas_app;
        GRANT UPDATE (email_confirmed, password_hash, security_stamp, concurrency_stamp, display_name) ON users TO valuecanvas_app;
        GRANT SELECT, INSERT, DELETE ON user_logins TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE (role), DELETE ON memberships TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE (revoked_at) ON invitations TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE (ended_at, end_reason) ON sessions TO valuecanvas_app;
        GRANT INSERT ON refresh_tokens TO valuecanvas_app;
        GRANT SELECT, INSERT, DELETE ON signing_keys TO valuecanvas_app;
        """;

    // By triggers, so that no statement can end an access unnoticed, an operator's psql included.
    private const string Changes =
        """
        CREATE FUNCTION note_session_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO access_changes (of_session) VALUES (OLD.id);
            RETURN NULL;
        END
        $$;

        CREATE FUNCTION note_membership_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO access_changes (of_user, of_tenant) VALUES (OLD.user_id, OLD.tenant_id);
            RETURN NULL;
        END
        $$;

        CREATE FUNCTION note_user_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO access_changes (of_user) VALUES (OLD.id);
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER session_ended AFTER UPDATE OF ended_at, expires_at ON sessions
            FOR EACH ROW EXECUTE FUNCTION note_session_change();
        CREATE TRIGGER membership_changed AFTER UPDATE OR DELETE ON memberships
            FOR EACH ROW EXECUTE FUNCTION note_membership_change();
        CREATE TRIGGER user_changed AFTER UPDATE OF is_operator, disabled_at OR DELETE ON users
            FOR EACH ROW EXECUTE FUNCTION note_user_change();

        ALTER FUNCTION note_session_change    OWNER TO valuecanvas_definer;
        ALTER FUNCTION note_membership_change OWNER TO valuecanvas_definer;
        ALTER FUNCTION note_user_change       OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION note_session_change, note_membership_change, note_user_change FROM PUBLIC;
        """;
}
