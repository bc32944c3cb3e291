using Npgsql;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// The roles, created or altered on every start and outside the migration history, because they belong to the server, not to the database,
/// and because passwords change.
/// </summary>
internal static class DatabaseRoles
{
    /// <summary>Api and Worker. Bound by row-level security; may do only what a migration grants it.</summary>
    public const string App = "valuecanvas_app";

    /// <summary>People and backups. Sees every tenant; owns nothing, changes no table's shape.</summary>
    public const string Operator = "valuecanvas_operator";

    /// <summary>Owns the few SECURITY DEFINER functions that must look across tenants. Nobody signs in as it.</summary>
    public const string Definer = "valuecanvas_definer";

    public static Task EnsureAsync(
        NpgsqlConnection connection,
        string appPassword,
        string operatorPassword,
        CancellationToken cancellationToken) =>
        ExecuteAsync(
            connection,
            $"""
             DO $roles$
             DECLARE
                 wanted text;
             BEGIN
                 FOREACH wanted IN ARRAY ARRAY['{App}', '{Operator}', '{Definer}'] LOOP
                     IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                         EXECUTE format('CREATE ROLE %I', wanted);
                     END IF;
                 END LOOP;
             END
             $roles$;

             ALTER ROLE {App} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
                 PASSWORD '{ScramVerifier.Create(appPassword)}';
             ALTER ROLE {Operator} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS
                 PASSWORD '{ScramVerifier.Create(operatorPassword)}';
             ALTER ROLE {Definer} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS PASSWORD NULL;

             -- A process that is stopped in the middle of a transaction must not keep its rows locked.
             ALTER ROLE {App} SET idle_in_transaction_session_timeout = '30s';
             """,
            cancellationToken);

    /// <summary>Rights that do not depend on a table: a migration grants <see cref="App"/> and <see cref="Definer"/> theirs.</summary>
    public static Task GrantAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        ExecuteAsync(
            connection,
            $"""
             REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             GRANT USAGE ON SCHEMA public TO {App}, {Operator}, {Definer};

             GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {Operator};
             REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON "__EFMigrationsHistory" FROM {Operator};
             REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM {Operator};
             GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {Operator};

             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {Operator};
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {Operator};
             ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
             """,
            cancellationToken);

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
