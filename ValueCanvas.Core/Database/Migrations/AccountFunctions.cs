namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// What accounts must do before a tenant or a user is known, or across tenants: the functions of the migration <see cref="Accounts"/>,
/// each with the rights of a role that has no others. One that is about "the caller" means the user whom the transaction has named.
/// </summary>
internal static class AccountFunctions
{
    public const string Sessions =
        """
        -- What a session may do in a tenant now; no row where it has ended.
        CREATE FUNCTION access_of_session(session uuid, of_user uuid, tenant uuid) RETURNS TABLE (role text, is_operator boolean)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT m.role, u.is_operator
            FROM sessions s
            JOIN users u ON u.id = s.user_id
            JOIN memberships m ON m.user_id = s.user_id AND m.tenant_id = tenant
            WHERE s.id = session AND s.user_id = of_user
              AND s.ended_at IS NULL AND s.expires_at > clock_timestamp() AND u.disabled_at IS NULL
        $$;

        -- Whose access ended or changed within the last while.
        CREATE FUNCTION changed_access(within interval) RETURNS TABLE (session_id uuid, user_id uuid, tenant_id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT DISTINCT c.of_session, c.of_user, c.of_tenant
            FROM access_changes c
            WHERE c.changed_at > clock_timestamp() - within
        $$;

        -- One token for the next. Outcomes: rotated; repeated (the answer was lost: the same successor again); reused (the session
        -- has been ended for it); unknown, expired, ended; no_tenant (not a member of the wanted one, or of any).
        CREATE FUNCTION rotate_refresh_token(given bytea, successor bytea, wanted uuid, idle interval, grace interval)
        RETURNS TABLE (outcome text, session_id uuid, user_id uuid, tenant_id uuid)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            token    refresh_tokens;
            session  sessions;
            tenant   uuid;
            moment   timestamptz;
        BEGIN
            -- 1. The family's lock: its tokens are looked at one after the other.
            SELECT s.* INTO session
            FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
            WHERE t.hash = given
            FOR UPDATE OF s;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL::uuid;
                RETURN;
            END IF;
            SELECT t.* INTO token FROM refresh_tokens t WHERE t.hash = given;
            moment := clock_timestamp();

            -- 2. What is over stays over.
            IF session.ended_at IS NOT NULL
                OR EXISTS (SELECT FROM users u WHERE u.id = session.user_id AND u.disabled_at IS NOT NULL) THEN
                RETURN QUERY SELECT 'ended', session.id, session.user_id, session.tenant_id;
                RETURN;
            END IF;

            -- 3. A replaced token comes back: within the grace, and before its successor was used, from one whose answer was lost.
            IF token.replaced_at IS NOT NULL AND (
                token.replaced_at + grace < moment
                OR NOT EXISTS (
                    SELECT FROM refresh_tokens t
                    WHERE t.hash = successor AND t.session_id = session.id AND t.replaced_at IS NULL)) THEN
                UPDATE sessions s SET ended_at = moment, end_reason = 'reuse' WHERE s.id = session.id;
                RETURN QUERY SELECT 'reused', session.id, session.user_id, session.tenant_id;
                RETURN;
            END IF;

            IF session.expires_at <= moment OR (token.replaced_at IS NULL AND token.expires_at <= moment) THEN
                RETURN QUERY SELECT 'expired', session.id, session.user_id, session.tenant_id;
                RETURN;
            END IF;

            -- 4. The tenant that was asked for, or the session's; if the user left that, the one it has belonged to longest.
            SELECT m.tenant_id INTO tenant
            FROM memberships m
            WHERE m.user_id = session.user_id AND (wanted IS NULL OR m.tenant_id = wanted)
            ORDER BY m.tenant_id = session.tenant_id DESC, m.created_at, m.tenant_id
            LIMIT 1;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 'no_tenant', session.id, session.user_id, session.tenant_id;
                RETURN;
            END IF;

            -- 5. Rotate.
            UPDATE sessions s SET last_used_at = moment, tenant_id = tenant WHERE s.id = session.id;
            IF token.replaced_at IS NOT NULL THEN
                RETURN QUERY SELECT 'repeated', session.id, session.user_id, tenant;
                RETURN;
            END IF;
            UPDATE refresh_tokens t SET replaced_at = moment WHERE t.hash = given;
            INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at)
            VALUES (successor, session.id, moment, least(moment + idle, session.expires_at));
            RETURN QUERY SELECT 'rotated', session.id, session.user_id, tenant;
        END
        $$;

        -- Signing out by a refresh token, also by one that has been replaced.
        CREATE FUNCTION end_session_of_token(given bytea) RETURNS TABLE (session_id uuid, user_id uuid, tenant_id uuid)
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            UPDATE sessions s SET ended_at = clock_timestamp(), end_reason = 'logout'
            FROM refresh_tokens t
            WHERE t.hash = given AND s.id = t.session_id AND s.ended_at IS NULL
            RETURNING s.id, s.user_id, s.tenant_id
        $$;
        """;

    public const string Members =
        """
        CREATE FUNCTION memberships_of_caller() RETURNS TABLE (tenant_id uuid, name text, role text, created_at timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT m.tenant_id, t.name, m.role, m.created_at
            FROM memberships m JOIN tenants t ON t.id = m.tenant_id
            WHERE m.user_id = NULLIF(current_setting('app.user_id', true), '')::uuid
            ORDER BY m.created_at, m.tenant_id
        $$;

        CREATE FUNCTION user_of_login(provider text, subject text) RETURNS uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT l.user_id FROM user_logins l WHERE l.login_provider = provider AND l.provider_key = subject
        $$;

        -- By the caller, for whose e-mail it was made. Who is a member already keeps the role; no row where there is no such invitation.
        CREATE FUNCTION accept_invitation(token bytea) RETURNS TABLE (tenant_id uuid, name text, role text)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            caller      uuid := NULLIF(current_setting('app.user_id', true), '')::uuid;
            invitation  invitations;
        BEGIN
            UPDATE invitations i SET accepted_at = clock_timestamp()
            FROM users u
            WHERE i.token_hash = token AND u.id = caller AND u.normalized_email = i.normalized_email
              AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp()
            RETURNING i.* INTO invitation;
            IF NOT FOUND THEN
                RETURN;
            END IF;

            INSERT INTO memberships (tenant_id, user_id, role)
            VALUES (invitation.tenant_id, caller, invitation.role)
            ON CONFLICT DO NOTHING;
            RETURN QUERY
            SELECT t.id, t.name, m.role
            FROM tenants t JOIN memberships m ON m.tenant_id = t.id AND m.user_id = caller
            WHERE t.id = invitation.tenant_id;
        END
        $$;

        -- True where this made the user the operator: only an installation without one gets one this way.
        CREATE FUNCTION appoint_first_operator(of_user uuid) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('valuecanvas:first-operator', 0));
            UPDATE users SET is_operator = true, email_confirmed = true
            WHERE id = of_user AND NOT EXISTS (SELECT FROM users WHERE is_operator);
            RETURN FOUND;
        END
        $$;

        CREATE FUNCTION has_operator() RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT EXISTS (SELECT FROM users WHERE is_operator)
        $$;

        -- What nobody asks for any more: changes that every instance has seen, sessions long over, invitations long dead.
        CREATE FUNCTION prune_accounts(keep interval) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            DELETE FROM access_changes WHERE changed_at < clock_timestamp() - interval '1 hour';
            DELETE FROM sessions WHERE least(ended_at, expires_at) < clock_timestamp() - keep;
            DELETE FROM invitations WHERE least(accepted_at, revoked_at, expires_at) < clock_timestamp() - keep;
        $$;
        """;

    public const string Rights =
        """
        GRANT SELECT                         ON tenants        TO valuecanvas_definer;
        GRANT SELECT, UPDATE                 ON users          TO valuecanvas_definer;
        GRANT SELECT                         ON user_logins    TO valuecanvas_definer;
        GRANT SELECT, INSERT                 ON memberships    TO valuecanvas_definer;
        GRANT SELECT, UPDATE, DELETE         ON invitations    TO valuecanvas_definer;
        GRANT SELECT, UPDATE, DELETE         ON sessions       TO valuecanvas_definer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO valuecanvas_definer;
        GRANT SELECT, INSERT, DELETE         ON access_changes TO valuecanvas_definer;

        ALTER FUNCTION access_of_session      OWNER TO valuecanvas_definer;
        ALTER FUNCTION changed_access         OWNER TO valuecanvas_definer;
        ALTER FUNCTION rotate_refresh_token   OWNER TO valuecanvas_definer;
        ALTER FUNCTION end_session_of_token   OWNER TO valuecanvas_definer;
        ALTER FUNCTION memberships_of_caller  OWNER TO valuecanvas_definer;
        ALTER FUNCTION user_of_login          OWNER TO valuecanvas_definer;
        ALTER FUNCTION accept_invitation      OWNER TO valuecanvas_definer;
        ALTER FUNCTION appoint_first_operator OWNER TO valuecanvas_definer;
        ALTER FUNCTION has_operator           OWNER TO valuecanvas_definer;
        ALTER FUNCTION prune_accounts         OWNER TO valuecanvas_definer;

        REVOKE ALL ON FUNCTION access_of_session, changed_access, rotate_refresh_token, end_session_of_token, memberships_of_caller,
            user_of_login, accept_invitation, appoint_first_operator, has_operator, prune_accounts FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION access_of_session, changed_access, rotate_refresh_token, end_session_of_token, memberships_of_caller,
            user_of_login, accept_invitation, appoint_first_operator, has_operator, prune_accounts TO valuecanvas_app;
        """;
}
