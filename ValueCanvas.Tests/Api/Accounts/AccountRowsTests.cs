using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Tests.Api.Accounts.Tokens;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts;

/// <summary>What the application's role sees and may change of accounts, whatever its code does.</summary>
public sealed class AccountRowsTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    [Fact]
    public async Task Users_NobodyNamed_AreInvisible()
    {
        await TokenBench.SignInAsync(database);

        foreach (var table in new[] { "users", "user_logins", "memberships", "invitations", "sessions" })
            Assert.Equal(0, await database.ScalarAsync<long>($"SELECT count(*) FROM {table}", database.App));
    }

    [Theory]
    [InlineData("refresh_tokens")]
    [InlineData("access_changes")]
    public async Task Table_OfFunctionsAlone_CannotBeRead(string table) => await DeniedAsync($"SELECT count(*) FROM {table}");

    [Fact]
    public async Task Users_ByUserBySignInOrByTenant_AreJustThose()
    {
        var (ann, bob) = (await TokenBench.SignInAsync(database), await TokenBench.SignInAsync(database));

        Assert.Equal(ann.User.ToString(), await SeenAsync("user_id", ann.User.ToString()));
        Assert.Equal(bob.User.ToString(), await SeenAsync("sign_in", bob.User.ToString()));
        Assert.Equal(ann.User.ToString(), await SeenAsync("tenant_id", ann.Tenant.ToString()));
        Assert.Equal("", await SeenAsync("sign_in", "%"));
        Assert.Equal("", await SeenAsync("tenant_id", Guid.NewGuid().ToString()));
    }

    [Theory]
    [InlineData("UPDATE users SET is_operator = true")]
    [InlineData("UPDATE users SET disabled_at = NULL")]
    [InlineData("UPDATE users SET email = 'eve@example.com', normalized_email = 'EVE@EXAMPLE.COM'")]
    [InlineData("DELETE FROM users")]
    [InlineData("UPDATE memberships SET tenant_id = '00000000-0000-0000-0000-000000000001'")]
    [InlineData("UPDATE sessions SET expires_at = now() + interval '1 year'")]
    [InlineData("UPDATE sessions SET user_id = '00000000-0000-0000-0000-000000000001'")]
    [InlineData("UPDATE invitations SET role = 'owner'")]
    [InlineData("UPDATE refresh_tokens SET replaced_at = NULL")]
    [InlineData("UPDATE signing_keys SET active_until = now() + interval '9 years'")]
    [InlineData("DELETE FROM access_changes")]
    public async Task App_WhatItNeverDoes_IsDenied(string sql) => await DeniedAsync(sql);

    [Fact]
    public async Task App_RowsOfAnotherUser_CannotBeWritten()
    {
        var (ann, bob) = (await TokenBench.SignInAsync(database), await TokenBench.SignInAsync(database));

        await DeniedAsync(
            $"""
             SELECT set_config('app.user_id', '{ann.User}', false);
             INSERT INTO sessions (id, user_id, tenant_id, expires_at) VALUES (gen_random_uuid(), '{bob.User}', '{bob.Tenant}', now())
             """);
        await DeniedAsync(
            $"""
             SELECT set_config('app.user_id', '{ann.User}', false);
             INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES (sha256('x'), '{bob.Session}', now())
             """);
        await DeniedAsync(
            $"""
             SELECT set_config('app.tenant_id', '{ann.Tenant}', false);
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{bob.Tenant}', '{ann.User}', 'owner')
             """);
    }

    [Fact]
    public async Task EveryEntityOfIdentity_OnAMigratedDatabase_CanBeQueried()
    {
        await using var provider = new ServiceCollection()
            .AddDbContext<AccountsDbContext>(options => options.UseNpgsql(database.Admin))
            .BuildServiceProvider();
        await using var scope = provider.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<AccountsDbContext>();
        var entities = db.Model.GetEntityTypes().ToList();
        Assert.Equal(2, entities.Count);

        foreach (var entity in entities)
        {
            var set = typeof(DbContext).GetMethod(nameof(DbContext.Set), [])!.MakeGenericMethod(entity.ClrType).Invoke(db, null)!;
            await ((IQueryable<object>)set).ToListAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Prune_WhatIsLongOver_IsGoneAndTheRestStays()
    {
        var (ann, bob) = (await TokenBench.SignInAsync(database), await TokenBench.SignInAsync(database));
        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            $"""
             UPDATE sessions SET ended_at = now() - interval '31 days', end_reason = 'logout' WHERE id = '{ann.Session}';
             UPDATE access_changes SET changed_at = now() - interval '2 hours' WHERE of_session = '{ann.Session}';
             """);

        await MigratedDatabase.ExecuteAsync(database.App, "SELECT prune_accounts(interval '30 days')");

        Assert.Equal(0, await database.ScalarAsync<long>($"SELECT count(*) FROM sessions WHERE id = '{ann.Session}'"));
        Assert.Equal(0, await database.ScalarAsync<long>($"SELECT count(*) FROM access_changes WHERE of_session = '{ann.Session}'"));
        Assert.Equal(1, await database.ScalarAsync<long>($"SELECT count(*) FROM sessions WHERE id = '{bob.Session}'"));
    }

    private Task<string> SeenAsync(string setting, string value) => database.ScalarAsync<string>(
        "SELECT coalesce(string_agg(id::text, ','), '') FROM users", $"{database.App};Options=-c app.{setting}={value}");

    private async Task DeniedAsync(string sql)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => MigratedDatabase.ExecuteAsync(
            new NpgsqlConnectionStringBuilder(database.App) { Pooling = false }.ConnectionString, sql));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }
}
