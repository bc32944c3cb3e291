using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Rate limits that are set live, and what they refused. Of the installation, not of a tenant: operators alone reach them.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261122020000_RateLimits")]
internal sealed class RateLimits : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(Tables);

    private const string Tables =
        """
        CREATE TABLE rate_limit_policies (
            name        text        PRIMARY KEY,
            definition  jsonb       NOT NULL,
            updated_at  timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE rate_limit_subjects (
            subject     text        PRIMARY KEY,
            action      text        NULL CHECK (action IN ('ban', 'allow')),
            until       timestamptz NULL,
            resets      integer     NOT NULL DEFAULT 0,
            updated_at  timestamptz NOT NULL DEFAULT now()
        );

        -- One row: what every instance asks for, to know whether anything was changed.
        CREATE TABLE rate_limit_revision (
            only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
            revision  bigint  NOT NULL
        );
        INSERT INTO rate_limit_revision (revision) VALUES (1);

        CREATE FUNCTION raise_rate_limit_revision() RETURNS trigger
        LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
            UPDATE rate_limit_revision SET revision = revision + 1;
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER raise_revision AFTER INSERT OR UPDATE OR DELETE ON rate_limit_policies
            FOR EACH STATEMENT EXECUTE FUNCTION raise_rate_limit_revision();
        CREATE TRIGGER raise_revision AFTER INSERT OR UPDATE OR DELETE ON rate_limit_subjects
            FOR EACH STATEMENT EXECUTE FUNCTION raise_rate_limit_revision();

        -- Written in groups by every instance, so several rows may be about the same minute: sum them. Addresses are HMACs.
        CREATE TABLE rate_limit_logs (
            id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            minute      timestamptz NOT NULL,
            policy      text        NOT NULL,
            subject     text        NOT NULL,
            refused     integer     NOT NULL,
            shadow      integer     NOT NULL,
            near        integer     NOT NULL,
            samples     jsonb       NOT NULL
        );
        CREATE INDEX rate_limit_logs_by_minute  ON rate_limit_logs (minute);
        CREATE INDEX rate_limit_logs_by_subject ON rate_limit_logs (policy, subject, minute);

        GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limit_policies TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE         ON rate_limit_subjects TO valuecanvas_app;
        GRANT SELECT, UPDATE                 ON rate_limit_revision TO valuecanvas_app;
        -- The application writes and prunes; to read who was refused is an operator's.
        GRANT INSERT, DELETE                 ON rate_limit_logs     TO valuecanvas_app;
        GRANT SELECT (minute)                ON rate_limit_logs     TO valuecanvas_app;
        """;
}
