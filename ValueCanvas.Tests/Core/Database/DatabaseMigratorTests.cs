using Microsoft.Extensions.Options;
using Npgsql;

namespace ValueCanvas.Tests.Core.Database;

public sealed class DatabaseMigratorTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    [Fact]
    public async Task MigrateAsync_FourAtOnceOnANewDatabase_AppliesEveryMigrationOnce()
    {
        var fresh = await database.CreateEmptyAsync();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => database.MigrateAsync(fresh)));

        Assert.Equal(1, await database.ScalarAsync<long>("SELECT count(*) FROM tenants", fresh));
        Assert.Equal(
            await database.ScalarAsync<long>("SELECT count(DISTINCT \"MigrationId\") FROM \"__EFMigrationsHistory\"", fresh),
            await database.ScalarAsync<long>("SELECT count(*) FROM \"__EFMigrationsHistory\"", fresh));
    }

    [Fact]
    public async Task MigrateAsync_Again_ChangesNothingAndKeepsRows()
    {
        var before = await database.ScalarAsync<long>("SELECT count(*) FROM tenants");

        await database.MigrateAsync(database.Admin);

        Assert.Equal(before, await database.ScalarAsync<long>("SELECT count(*) FROM tenants"));
    }

    [Fact]
    public async Task Roles_AfterMigration_HaveTheRightsTheyNeedAndNoMore()
    {
        Assert.Equal(
            "valuecanvas_app:true:false:false valuecanvas_definer:false:false:true valuecanvas_operator:true:false:true",
            await database.ScalarAsync<string>(
                """
                SELECT string_agg(concat_ws(':', rolname, rolcanlogin::text, rolsuper::text, rolbypassrls::text), ' ' ORDER BY rolname)
                FROM pg_roles WHERE rolname LIKE 'valuecanvas\_%'
                """));

        foreach (var forbidden in new[] { "SELECT * FROM \"__EFMigrationsHistory\"", "DELETE FROM llm_job_results",
            "CREATE TABLE mine (id int)" })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => MigratedDatabase.ExecuteAsync(database.App, forbidden));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }
    }

    [Fact]
    public async Task Roles_PasswordThatNeedsQuoting_SignsIn() =>
        Assert.Equal("valuecanvas_app", await database.ScalarAsync<string>("SELECT current_user::text", database.App));

    [Fact]
    public async Task Roles_PasswordChanged_NewOneIsStoredAsScramVerifier()
    {
        const string Stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'valuecanvas_operator'";
        var before = await database.ScalarAsync<string>(Stored);

        await database.MigrateAsync(database.Admin);

        var after = await database.ScalarAsync<string>(Stored);
        Assert.NotEqual(before, after);
        Assert.StartsWith("SCRAM-SHA-256$4096:", after, StringComparison.Ordinal);
        Assert.DoesNotContain(MigratedDatabase.OperatorPassword, after, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MigrateAsync_NoPassword_NamesTheKey()
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => database.MigrateAsync(database.Admin, appPassword: ""));

        Assert.Contains("Database:AppPassword", failure.Message, StringComparison.Ordinal);
    }
}
