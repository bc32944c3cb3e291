namespace ValueCanvas.Tests.Api.Isolation;

/// <summary>Everything that can look across tenants. Whoever adds something writes it down here, and why.</summary>
public sealed class AcrossTenantsTests(IsolationDatabase database) : IClassFixture<IsolationDatabase>
{
    private const string OfTheTenant = "(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)";

    private static readonly string[] Functions =
    [
        // The queue serves every tenant.
        "claim_llm_jobs", "complete_llm_jobs", "heartbeat_llm_jobs", "lost_llm_jobs", "rescue_llm_jobs", "expire_llm_jobs",
        "prune_llm_jobs", "due_llm_job_schedules", "measure_llm_jobs", "cancel_orphaned_llm_jobs",
        // The pause of the whole queue, which is nobody's.
        "llm_queue_paused_since", "pause_llm_queue",
        // What the end of a job means for its parent, its children and its tenant's webhooks, whoever ends it.
        "settle_llm_job_family", "announce_llm_job_end",
        // Workers deliver for every tenant.
        "claim_webhook_deliveries", "prune_webhook_deliveries",
        // Write the history of jobs, which nobody else may, and remove it with them.
        "note_llm_job_change", "note_llm_job_changes", "note_llm_job_submissions", "forget_llm_job_events",
        // Before it is known who calls.
        "access_of_session", "end_session_of_token", "find_api_key", "rotate_refresh_token", "user_of_login",
        "user_of_password_reset", "redeem_password_reset",
        // Of a user, who may belong to several tenants.
        "accept_invitation", "issue_password_reset", "memberships_of_caller",
        // What ended, for every instance; and what notes it.
        "changed_access", "note_api_key_change", "note_api_key_secret_change", "note_membership_change", "note_session_change",
        "note_user_change",
        // The first start.
        "appoint_first_operator", "has_operator",
        // Whose provider keys changed, for the proxy's configuration.
        "tenants_of_provider_keys",
        // Groups of counts are of all tenants; invalidations are for every instance, and each is written by its tenant or an operator.
        "invalidate_llm_cache", "llm_cache_invalidations_after", "prune_llm_cache", "record_llm_cache",
        // The books: rows come in groups of many tenants' calls, and every instance knows all budgets.
        "record_usage", "record_requests", "all_budgets", "raise_usage_revision",
        // Upkeep.
        "note_api_keys_used", "prune_accounts", "prune_audit_log", "prune_request_logs",
    ];

    [Fact]
    public async Task SecurityDefinerFunctions_AreThese()
    {
        var found = await database.NamesAsync(
            "SELECT DISTINCT proname::text FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY 1");
        Assert.Equal(Functions.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task SecurityDefinerFunctions_BelongToTheDefiner_HaveASearchPath_AndAreNotForEverybody() =>
        Assert.Empty(await database.NamesAsync(
            """
            SELECT p.proname::text FROM pg_proc p
            WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
              AND (p.proowner <> 'valuecanvas_definer'::regrole
                   OR NOT coalesce(p.proconfig::text LIKE '%search_path=public, pg_temp%', false)
                   OR has_function_privilege('public', p.oid, 'EXECUTE'))
            """));

    [Fact]
    public async Task RolesThatBypassRowLevelSecurity_AreThese() =>
        Assert.Equal(
            ["valuecanvas_definer", "valuecanvas_operator"],
            await database.NamesAsync(
                "SELECT rolname::text FROM pg_roles WHERE rolbypassrls AND NOT rolsuper AND rolname LIKE 'valuecanvas%' ORDER BY 1"));

    [Fact]
    public async Task Application_IsAPlainRole_OwnsNothing_AndIsAMemberOfNothing()
    {
        Assert.Equal(
            ["valuecanvas_app"],
            await database.NamesAsync(
                """
                SELECT rolname::text FROM pg_roles
                WHERE rolname = 'valuecanvas_app' AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
                """));
        Assert.Empty(await database.NamesAsync(
            "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'valuecanvas_app'::regrole"));
        Assert.Empty(await database.NamesAsync("SELECT relname::text FROM pg_class WHERE relowner = 'valuecanvas_app'::regrole"));
        Assert.Empty(await database.NamesAsync("SELECT proname::text FROM pg_proc WHERE proowner = 'valuecanvas_app'::regrole"));
    }

    [Fact]
    public async Task PoliciesThatAreNotTheTenants_AreThese() =>
        Assert.Equal(
            [
                "audit_log.append",           // for everybody, and for no tenant; nobody reads by it
                "audit_log.read_all",         // by app.audit_all, which the operators' route sets
                "llm_jobs.ended",             // of the tenant, and of what has ended alone
                "refresh_tokens.self",        // into a session of one's own
                "sessions.self",              // by app.user_id
                "tenants.tenant",             // by its id
                "user_logins.self",           // by app.user_id
                "users.colleagues",           // of the tenant
                "users.self",                 // by app.user_id
                "users.sign_in",              // by the one address of app.sign_in
            ],
            await database.NamesAsync(
                $"""
                 SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
                 WHERE coalesce(pg_get_expr(p.polqual, p.polrelid), '') <> '{OfTheTenant.Replace("'", "''", StringComparison.Ordinal)}'
                 ORDER BY 1
                 """));

    [Fact]
    public async Task PoliciesThatAreNotTheTenants_NameWhoseRowsTheyShow() =>
        Assert.Equal(
            [],
            await database.NamesAsync(
                """
                SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
                WHERE coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
                      !~ 'app\.(tenant_id|user_id|sign_in|audit_all)|FROM sessions'
                ORDER BY 1
                """));
}
