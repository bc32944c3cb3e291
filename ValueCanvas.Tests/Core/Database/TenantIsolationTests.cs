using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Tests.Core.Database;

public sealed class TenantIsolationTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("tenants")]
    [InlineData("canvases")]
    [InlineData("llm_jobs")]
    [InlineData("llm_job_results")]
    public async Task Table_OfTenants_EnforcesRowLevelSecurityAlsoOnItsOwner(string table) =>
        Assert.True(await database.ScalarAsync<bool>(
            $"SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = '{table}'::regclass"));

    [Fact]
    public async Task EveryTableWithATenant_IsProtected() =>
        Assert.Equal("", await database.ScalarAsync<string>(
            """
            SELECT coalesce(string_agg(c.relname, ', '), '')
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
              AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
            """));

    [Fact]
    public async Task App_WithoutATenant_SeesNoRow()
    {
        await SubmitAsync(Tenants.Development);

        Assert.Equal(0, await database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs", database.App));
        Assert.Equal(0, await database.ScalarAsync<long>("SELECT count(*) FROM tenants", database.App));
    }

    [Fact]
    public async Task App_AfterATransactionWithATenant_SeesNoRowOnTheSameConnection()
    {
        await SubmitAsync(Tenants.Development);
        await using var connection = new NpgsqlConnection(database.App);
        await connection.OpenAsync(Cancel);

        var counts = new List<long>();
        foreach (var sql in new[]
        {
            $"BEGIN; SELECT set_config('app.tenant_id', '{Tenants.Development}', true)", "SELECT count(*) FROM llm_jobs", "COMMIT",
            "SELECT count(*) FROM llm_jobs",
        })
        {
            await using var command = new NpgsqlCommand(sql, connection);
            if (await command.ExecuteScalarAsync(Cancel) is long count)
                counts.Add(count);
        }

        Assert.True(counts[0] > 0);
        Assert.Equal(0, counts[1]);
    }

    [Fact]
    public async Task TenantDatabase_OfOneTenant_SeesOnlyItsRows()
    {
        using var host = database.Services();
        var mine = await SubmitAsync(Tenants.Development);
        var theirs = await SubmitAsync(database.OtherTenant);

        var seen = await host.Services.GetRequiredService<TenantDatabase>()
            .ExecuteAsync(database.OtherTenant, (db, ct) => db.Set<Job>().Select(job => job.Id).ToListAsync(ct), Cancel);

        Assert.Contains(theirs.Id, seen);
        Assert.DoesNotContain(mine.Id, seen);
    }

    [Fact]
    public async Task TenantDatabase_RowOfAnotherTenant_IsRefused()
    {
        using var host = database.Services();
        var work = host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            database.OtherTenant,
            (db, _) =>
            {
                db.Add(new Job { Id = Guid.NewGuid(), TenantId = Tenants.Development, Type = "t", Args = "{}" });
                return Task.CompletedTask;
            },
            Cancel);

        var refused = await Assert.ThrowsAsync<DbUpdateException>(() => work);
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, Assert.IsType<PostgresException>(refused.InnerException).SqlState);
    }

    [Fact]
    public async Task Operator_WithoutATenant_SeesEveryTenant()
    {
        await SubmitAsync(Tenants.Development);
        await SubmitAsync(database.OtherTenant);

        Assert.Equal(2, await database.ScalarAsync<long>("SELECT count(DISTINCT tenant_id) FROM llm_jobs", database.Operator));
    }

    private async Task<Job> SubmitAsync(Guid tenant)
    {
        using var host = database.Services();
        return await host.Services.GetRequiredService<JobStore>().EnqueueAsync(tenant, "t", null, "{}", Cancel);
    }
}
